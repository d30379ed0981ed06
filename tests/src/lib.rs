//! The black-box runner: real `regnode` processes, real sockets, real clients.
//!
//! What holds here: the runner knows the program by its command line, its HTTP interface, its logs and its files, and
//! by nothing else; it does not link any other crate of the project (the crash test does, for its clients and judges).
//! Everything it waits for has a deadline; nothing sleeps for a fixed time. A cluster that a failed test leaves behind
//! keeps its folder, and the end of each node's log is printed.
//!
//! How the tests are laid out: each file of `tests/tests` is one subject. Tests that only use the interface are plain
//! functions (*behaviours*), each named by what it shows and documented by the section that demands it; a [`suite`]
//! runs all behaviours of a file against one server, and again against three nodes with every request sent to the next
//! node, so that the whole interface is also a test of "any node answers any request". Tests that break nodes start
//! clusters of their own.
//!
//! The program is taken from `REGNODE_BINARY`, else from beside the test binaries. `./tests/run` builds it first.

pub mod access;
pub mod certificates;
pub mod cluster;
pub mod command;
pub mod content;
pub mod daemons;
pub mod damage;
pub mod digest;
pub mod haproxy;
pub mod image;
pub mod issuer;
pub mod jwt;
pub mod layout;
pub mod links;
pub mod metrics;
mod node;
pub mod operator;
pub mod pebble;
pub mod peer;
pub mod ports;
pub mod process;
pub mod pushes;
pub mod raw;
pub mod regions;
pub mod registry;
pub mod remote;
pub mod sign_in;
pub mod skopeo;
pub mod slapd;
pub mod small_disk;
pub mod status;
pub mod suite;
pub mod tools;
pub mod tpm;
pub mod traffic;
pub mod tunnel;
pub mod wait;
