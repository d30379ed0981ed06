//! The environment of the binary: the operating system.
