//! Opens sealed files and reads their content at any position.

use super::super::Keyring;
use super::super::cipher::{FileKey, TAG_BYTES};
use super::header::{Beginning, HEADER_BYTES, Header};
use super::scan::{self, Frame};
use super::{Fault, Kind, LAST, OTHER_PREFIX_BYTES, Source, TABLE_PREFIX_BYTES};

/// What a file turned out to be.
#[derive(Debug)]
pub(crate) enum Opened {
    /// It is in the clear, and is read as it is.
    Clear,
    /// It is sealed, and its key is known.
    Sealed(Reader),
}

/// Reads the content of one sealed file as it was when it was opened.
#[derive(Debug)]
pub(crate) struct Reader {
    /// `None` for a file that has no content.
    key: Option<FileKey>,
    layout: Layout,
    length_bytes: u64,
}

#[derive(Debug)]
enum Layout {
    /// Frames of one length.
    Table { file_bytes: u64, frame_bytes: u64 },
    /// Frames one by one, in order.
    Frames(Vec<Frame>),
}

impl Reader {
    /// Looks at a file of this length.
    pub(crate) fn open(source: &dyn Source, file_bytes: u64, keyring: &Keyring) -> Result<Opened, Fault> {
        let mut begin = [0; HEADER_BYTES];
        let wanted = usize::try_from(file_bytes).unwrap_or(HEADER_BYTES).min(HEADER_BYTES);
        let read = source.read_at(&mut begin[..wanted], 0)?;
        let begin = &begin[..read];
        let header = match Header::look(begin)? {
            Beginning::Clear => return Ok(Opened::Clear),
            Beginning::Cut => {
                return Ok(Opened::Sealed(Self { key: None, layout: Layout::Frames(Vec::new()), length_bytes: 0 }));
            }
            Beginning::Sealed(header) => header,
        };
        let key = header.unlock(begin, keyring)?;
        let reader = if header.kind == Kind::Table {
            Self::table(key, file_bytes, u64::from(header.frame_bytes))
        } else {
            let frames = scan::frames(source, file_bytes, &key, header.kind, header.frame_bytes)?;
            let length_bytes = frames.last().map_or(0, |last| last.content + last.length as u64);
            Self { key: Some(key), layout: Layout::Frames(frames), length_bytes }
        };
        Ok(Opened::Sealed(reader))
    }

    fn table(key: FileKey, file_bytes: u64, frame_bytes: u64) -> Self {
        let body = file_bytes.saturating_sub(HEADER_BYTES as u64);
        let whole = body / sealed_frame_bytes(frame_bytes);
        let rest = body % sealed_frame_bytes(frame_bytes);
        let length_bytes = whole * frame_bytes + rest.saturating_sub(sealed_frame_bytes(0));
        Self { key: Some(key), layout: Layout::Table { file_bytes, frame_bytes }, length_bytes }
    }

    /// Bytes of the content.
    pub(crate) fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// Reads content at `offset`: as much as the buffer takes, less only at the end.
    pub(crate) fn read_at(&self, source: &dyn Source, buffer: &mut [u8], offset: u64) -> Result<usize, Fault> {
        let rest = self.length_bytes.saturating_sub(offset);
        let wanted = usize::try_from(rest).unwrap_or(usize::MAX).min(buffer.len());
        let (Some(key), false) = (&self.key, wanted == 0) else { return Ok(0) };
        let buffer = &mut buffer[..wanted];
        match &self.layout {
            Layout::Table { file_bytes, frame_bytes } => {
                read_table(source, key, *file_bytes, *frame_bytes, buffer, offset)?;
            }
            Layout::Frames(frames) => read_frames(source, key, frames, buffer, offset)?,
        }
        Ok(wanted)
    }
}

/// Bytes that a frame of a table takes in the file.
fn sealed_frame_bytes(content_bytes: u64) -> u64 {
    content_bytes + (TABLE_PREFIX_BYTES + TAG_BYTES) as u64
}

fn read_table(
    source: &dyn Source,
    key: &FileKey,
    file_bytes: u64,
    frame_bytes: u64,
    buffer: &mut [u8],
    offset: u64,
) -> Result<(), Fault> {
    let stride = sealed_frame_bytes(frame_bytes);
    let first = offset / frame_bytes;
    let last = (offset + buffer.len() as u64 - 1) / frame_bytes;
    let begin = HEADER_BYTES as u64 + first * stride;
    let end = (HEADER_BYTES as u64 + (last + 1) * stride).min(file_bytes);
    let mut run = read(source, begin, end)?;
    let mut rest = run.as_mut_slice();
    let (mut position, mut content) = (begin, first * frame_bytes);
    while !rest.is_empty() {
        let here = usize::try_from(stride).unwrap_or(usize::MAX).min(rest.len());
        let (frame, behind) = rest.split_at_mut(here);
        if frame.len() < TABLE_PREFIX_BYTES + TAG_BYTES {
            return Err(Fault::Damaged("it ends too early"));
        }
        let (prefix, sealed) = frame.split_at_mut(TABLE_PREFIX_BYTES);
        // What is too short for a frame behind it is the rest of one that was cut off.
        let is_last = position + here as u64 + sealed_frame_bytes(0) > file_bytes;
        let opened = key.open(position, prefix, sealed).map_err(|_| Fault::Damaged("a part of it is damaged"))?;
        // The tag covers the mark: a table that was cut off at the end of a frame has a last frame without one.
        if (prefix[TABLE_PREFIX_BYTES - 1] & (LAST >> 24) as u8 != 0) != is_last {
            return Err(Fault::Damaged("it ends too early"));
        }
        copy(opened, content, buffer, offset);
        position += here as u64;
        content += opened.len() as u64;
        rest = behind;
    }
    Ok(())
}

fn read_frames(
    source: &dyn Source,
    key: &FileKey,
    frames: &[Frame],
    buffer: &mut [u8],
    offset: u64,
) -> Result<(), Fault> {
    let end = offset + buffer.len() as u64;
    let first = frames.partition_point(|frame| frame.content + frame.length as u64 <= offset);
    let behind = frames.partition_point(|frame| frame.content < end);
    let wanted = &frames[first..behind];
    let (Some(one), Some(last)) = (wanted.first(), wanted.last()) else { return Ok(()) };
    let bytes = |frame: &Frame| (OTHER_PREFIX_BYTES + frame.length + TAG_BYTES) as u64;
    let mut run = read(source, one.position, last.position + bytes(last))?;
    let mut rest = run.as_mut_slice();
    for frame in wanted {
        let (sealed, behind) = rest.split_at_mut(OTHER_PREFIX_BYTES + frame.length + TAG_BYTES);
        let (prefix, sealed) = sealed.split_at_mut(OTHER_PREFIX_BYTES);
        let opened = key.open(frame.position, prefix, sealed).map_err(|_| Fault::Damaged("a part of it is damaged"))?;
        copy(opened, frame.content, buffer, offset);
        rest = behind;
    }
    Ok(())
}

/// Copies what a frame has of `buffer`, whose content begins at `offset`.
fn copy(opened: &[u8], content: u64, buffer: &mut [u8], offset: u64) {
    let end = offset + buffer.len() as u64;
    let (from, to) = (content.max(offset), (content + opened.len() as u64).min(end));
    if from >= to {
        return;
    }
    let at = |position: u64, base: u64| usize::try_from(position - base).expect("it lies within a buffer");
    buffer[at(from, offset)..at(to, offset)].copy_from_slice(&opened[at(from, content)..at(to, content)]);
}

fn read(source: &dyn Source, begin: u64, end: u64) -> Result<Vec<u8>, Fault> {
    let mut run = vec![0; usize::try_from(end - begin).unwrap_or(usize::MAX)];
    let read = source.read_at(&mut run, begin)?;
    if read < run.len() {
        return Err(Fault::Damaged("it ends too early"));
    }
    Ok(run)
}
