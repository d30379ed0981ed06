//! The lines of a segment, one after the other, with a bounded buffer.

use std::io;

use storage::disk::File;

use super::record::LINE_BYTES_MAX;

/// Bytes of one read.
const READ_BYTES: usize = 256 << 10;

/// What comes next in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// A line, without its end.
    Line(&'a [u8]),
    /// A line that is longer than any record. It was passed over.
    TooLong,
    /// Bytes without the end of a line: what a crash has left, or a record that is being written.
    Torn(u64),
    /// Nothing more.
    End,
}

/// Reads lines. Blocks.
#[derive(Debug)]
pub(super) struct Lines {
    file: Box<dyn File>,
    /// Where the next line begins.
    offset: u64,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were read already.
    used: usize,
}

impl Lines {
    /// From a byte of the file, at which a line begins.
    pub(super) fn new(file: Box<dyn File>, offset: u64) -> Self {
        Self { file, offset, buffer: Vec::new(), used: 0 }
    }

    /// Where the next line begins.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The next line. After [`Next::Torn`] and [`Next::End`] it may be asked for again: the file may have grown.
    pub(super) fn next(&mut self) -> io::Result<Next<'_>> {
        let mut searched = 0;
        loop {
            let rest = &self.buffer[self.used..];
            if let Some(end) = rest[searched..].iter().position(|byte| *byte == b'\n') {
                let (begin, end) = (self.used, self.used + searched + end);
                self.offset += (end + 1 - begin) as u64;
                self.used = end + 1;
                let line = &self.buffer[begin..end];
                return Ok(if line.len() > LINE_BYTES_MAX { Next::TooLong } else { Next::Line(line) });
            }
            searched = rest.len();
            if searched > LINE_BYTES_MAX {
                return self.pass_over();
            }
            if self.fill()? == 0 {
                return Ok(if searched == 0 { Next::End } else { Next::Torn(searched as u64) });
            }
        }
    }

    /// Goes behind the end of a line that does not fit into the buffer.
    fn pass_over(&mut self) -> io::Result<Next<'_>> {
        loop {
            let rest = self.buffer.len() - self.used;
            if let Some(end) = self.buffer[self.used..].iter().position(|byte| *byte == b'\n') {
                self.offset += (end + 1) as u64;
                self.used += end + 1;
                return Ok(Next::TooLong);
            }
            self.offset += rest as u64;
            self.used = self.buffer.len();
            if self.fill()? == 0 {
                return Ok(Next::TooLong);
            }
        }
    }

    /// Reads more behind what is in the buffer. How many bytes that were.
    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let held = self.buffer.len();
        self.buffer.resize(held + READ_BYTES, 0);
        let read = loop {
            match self.file.read_at(&mut self.buffer[held..], self.offset + held as u64) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(held + *read.as_ref().unwrap_or(&0));
        read
    }
}

#[cfg(test)]
mod tests {
    use storage::disk::{Files, RealFiles};

    use super::*;

    fn lines(content: &[u8]) -> (tempfile::TempDir, Lines) {
        let directory = tempfile::tempdir().unwrap();
        let file = RealFiles.create(&directory.path().join("lines")).unwrap();
        file.write_all_at(content, 0).unwrap();
        (directory, Lines::new(file, 0))
    }

    #[test]
    fn lines_come_one_after_the_other() {
        let (directory, mut lines) = lines(b"one\n\nthree\nfo");
        assert_eq!(lines.next().unwrap(), Next::Line(b"one"));
        assert_eq!(lines.next().unwrap(), Next::Line(b""));
        assert_eq!(lines.next().unwrap(), Next::Line(b"three"));
        assert_eq!(lines.offset(), 11);
        assert_eq!(lines.next().unwrap(), Next::Torn(2));
        let file = RealFiles.open(&directory.path().join("lines")).unwrap();
        file.write_all_at(b"ur\n", 13).unwrap();
        assert_eq!(lines.next().unwrap(), Next::Line(b"four"));
        assert_eq!(lines.next().unwrap(), Next::End);
    }

    #[test]
    fn many_lines_are_read_with_a_small_buffer() {
        let content = (0..200_000).map(|number| number.to_string()).collect::<Vec<_>>().join("\n") + "\n";
        let (_directory, mut lines) = lines(content.as_bytes());
        for number in 0..200_000 {
            assert_eq!(lines.next().unwrap(), Next::Line(number.to_string().as_bytes()));
            assert!(lines.buffer.len() <= READ_BYTES + LINE_BYTES_MAX);
        }
        assert_eq!(lines.next().unwrap(), Next::End);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        for length in [LINE_BYTES_MAX + 1, 3 * READ_BYTES] {
            let mut content = vec![b'x'; length];
            content.extend_from_slice(b"\nnext\n");
            let (_directory, mut lines) = lines(&content);
            assert_eq!(lines.next().unwrap(), Next::TooLong);
            assert_eq!(lines.next().unwrap(), Next::Line(b"next"));
        }
        let (_directory, mut unending) = lines(&vec![b'x'; 2 * READ_BYTES]);
        assert_eq!(unending.next().unwrap(), Next::TooLong);
        assert_eq!(unending.next().unwrap(), Next::End);
    }
}
