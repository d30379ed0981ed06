//! The border between RocksDB's file system, which is C++, and the sealed files, which are Rust.
//!
//! Every function here is called by `file_system.cc` alone, which keeps what each asks for: pointers are those that a
//! function here gave out, lengths are those of the buffers, a writer is used by one thread at a time and a reader only
//! read. A panic ends the process at the border. The structures are those of `file_system.cc`; keep both in step.

use std::ffi::{c_char, c_void};
use std::io;
use std::path::Path;
use std::ptr;
use std::slice;

use rocksdb::Env;

use crate::seal::Keys;
use crate::seal::file::{Fault, HEADER_BYTES, Kind, Opened, Reader, Source, Writer};

const GOOD: i32 = 0;
const CLEAR: i32 = 1;
const DAMAGED: i32 = 2;
const UNKNOWN_KEY: i32 = 3;
const FAILED: i32 = 4;

/// Bytes of a message, a zero at its end included.
const MESSAGE_BYTES: usize = 256;

type ReadSource = extern "C" fn(source: *mut c_void, offset: u64, length: usize, out: *mut c_char) -> i64;

#[repr(C)]
struct Bridge {
    context: *mut c_void,
    drop_context: extern "C" fn(*mut c_void),
    seals: extern "C" fn(*mut c_void) -> bool,
    writer_create:
        extern "C" fn(*mut c_void, *const c_char, usize, *mut *const c_char, *mut usize, *mut bool) -> *mut c_void,
    writer_append: extern "C" fn(*mut c_void, u64, *const c_char, usize, *mut *const c_char, *mut usize) -> bool,
    writer_finish: extern "C" fn(*mut c_void, *mut *const c_char, *mut usize),
    writer_drop: extern "C" fn(*mut c_void),
    reader_open:
        extern "C" fn(*mut c_void, ReadSource, *mut c_void, u64, *mut *mut c_void, *mut u64, *mut c_char) -> i32,
    reader_read:
        extern "C" fn(*mut c_void, ReadSource, *mut c_void, u64, usize, *mut c_char, *mut usize, *mut c_char) -> i32,
    reader_drop: extern "C" fn(*mut c_void),
}

unsafe extern "C" {
    fn regnode_sealed_env_create(bridge: *const Bridge) -> *mut librocksdb_sys::rocksdb_env_t;
}

/// What RocksDB calls for everything outside of itself: the operating system's, but for files, which are sealed under
/// these keys.
pub(in super::super) fn environment(keys: Keys) -> Env {
    let bridge = Bridge {
        context: Box::into_raw(Box::new(keys)).cast(),
        drop_context,
        seals,
        writer_create,
        writer_append,
        writer_finish,
        writer_drop,
        reader_open,
        reader_read,
        reader_drop,
    };
    // SAFETY: the structure is copied, its context is dropped by `drop_context` with the last file; what is returned is
    // new, whole, and nobody else's.
    unsafe { Env::from_raw(regnode_sealed_env_create(&raw const bridge)) }
}

extern "C" fn drop_context(context: *mut c_void) {
    // SAFETY: it is the box that `environment` gave out, and this is called once, last.
    drop(unsafe { Box::from_raw(context.cast::<Keys>()) });
}

extern "C" fn seals(context: *mut c_void) -> bool {
    // SAFETY: the context lives as long as the file system.
    unsafe { &*context.cast::<Keys>() }.load().current().is_some()
}

/// A writer and the header of its file.
struct Writing {
    writer: Writer,
    header: [u8; HEADER_BYTES],
}

extern "C" fn writer_create(
    context: *mut c_void,
    name: *const c_char,
    name_length: usize,
    header: *mut *const c_char,
    header_length: *mut usize,
    ends: *mut bool,
) -> *mut c_void {
    // SAFETY: the context lives as long as the file system, and the name is a string of this length.
    let (keys, name) = unsafe { (&*context.cast::<Keys>(), bytes(name, name_length)) };
    let name = String::from_utf8_lossy(name);
    let kind = Kind::of(Path::new(name.as_ref()));
    let Some((writer, bytes)) = Writer::create(kind, keys) else {
        return ptr::null_mut();
    };
    let writing = Box::into_raw(Box::new(Writing { writer, header: bytes }));
    // SAFETY: the box was just made and is dropped by `writer_drop` only; the results are the caller's own variables.
    unsafe {
        give(&(*writing).header, header, header_length);
        *ends = kind == Kind::Table;
    }
    writing.cast()
}

extern "C" fn writer_append(
    writing: *mut c_void,
    durable: u64,
    content: *const c_char,
    length: usize,
    out: *mut *const c_char,
    out_length: *mut usize,
) -> bool {
    // SAFETY: a writer is used by one thread at a time; the content is a buffer of this length; what is given out is
    // used before the writer is called again.
    unsafe {
        let writing = &mut *writing.cast::<Writing>();
        match writing.writer.append(bytes(content, length), durable) {
            Ok(output) => {
                give(output, out, out_length);
                true
            }
            Err(_) => false,
        }
    }
}

extern "C" fn writer_finish(writing: *mut c_void, out: *mut *const c_char, out_length: *mut usize) {
    // SAFETY: as for `writer_append`. It is called for tables only, which nobody appends to meanwhile.
    unsafe { give((*writing.cast::<Writing>()).writer.finish(), out, out_length) };
}

extern "C" fn writer_drop(writing: *mut c_void) {
    // SAFETY: it is the box that `writer_create` gave out, and nobody uses it any more.
    drop(unsafe { Box::from_raw(writing.cast::<Writing>()) });
}

extern "C" fn reader_open(
    context: *mut c_void,
    read: ReadSource,
    source: *mut c_void,
    file_bytes: u64,
    reader: *mut *mut c_void,
    length: *mut u64,
    message: *mut c_char,
) -> i32 {
    // SAFETY: the context lives as long as the file system.
    let keys = unsafe { &*context.cast::<Keys>() };
    let opened = Reader::open(&Below { read, source }, file_bytes, &keys.load());
    // SAFETY: the results are the caller's own variables, and the message has `MESSAGE_BYTES`.
    unsafe {
        match opened {
            Ok(Opened::Clear) => CLEAR,
            Ok(Opened::Sealed(opened)) => {
                *length = opened.length_bytes();
                *reader = Box::into_raw(Box::new(opened)).cast();
                GOOD
            }
            Err(fault) => tell(&fault, message),
        }
    }
}

extern "C" fn reader_read(
    reader: *mut c_void,
    read: ReadSource,
    source: *mut c_void,
    offset: u64,
    length: usize,
    out: *mut c_char,
    got: *mut usize,
    message: *mut c_char,
) -> i32 {
    // SAFETY: a reader is not changed by reading, so that threads may share it; the buffer has this length and is only
    // written to, which RocksDB's scratch is for.
    unsafe {
        let reader = &*reader.cast::<Reader>();
        let buffer: &mut [u8] = if length == 0 { &mut [] } else { slice::from_raw_parts_mut(out.cast(), length) };
        match reader.read_at(&Below { read, source }, buffer, offset) {
            Ok(read) => {
                *got = read;
                GOOD
            }
            Err(fault) => tell(&fault, message),
        }
    }
}

extern "C" fn reader_drop(reader: *mut c_void) {
    // SAFETY: it is the box that `reader_open` gave out, and nobody uses it any more.
    drop(unsafe { Box::from_raw(reader.cast::<Reader>()) });
}

/// The file below, for the length of one call.
struct Below {
    read: ReadSource,
    source: *mut c_void,
}

impl Source for Below {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = (self.read)(self.source, offset, buffer.len(), buffer.as_mut_ptr().cast());
        // What failed exactly, the other side has kept.
        usize::try_from(read).map_err(|_| io::Error::other("the file system failed"))
    }
}

/// The bytes of a string or buffer. An empty one may have no address.
unsafe fn bytes<'a>(begin: *const c_char, length: usize) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: the caller says that it is a buffer of this length.
    unsafe { slice::from_raw_parts(begin.cast(), length) }
}

unsafe fn give(output: &[u8], begin: *mut *const c_char, length: *mut usize) {
    // SAFETY: the caller says that both can be written to.
    unsafe {
        *begin = output.as_ptr().cast();
        *length = output.len();
    }
}

/// Writes down what is the matter, and returns its code.
unsafe fn tell(fault: &Fault, message: *mut c_char) -> i32 {
    let text = fault.to_string();
    let length = text.len().min(MESSAGE_BYTES - 1);
    // SAFETY: the caller says that the message has `MESSAGE_BYTES`.
    unsafe {
        ptr::copy_nonoverlapping(text.as_ptr(), message.cast(), length);
        *message.add(length) = 0;
    }
    match fault {
        Fault::Unknown(_) => UNKNOWN_KEY,
        Fault::Damaged(_) => DAMAGED,
        Fault::Io(_) => FAILED,
    }
}
