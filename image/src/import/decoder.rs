//! Decompression. All decoders are bounded in what they hold in memory.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::FrameDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

use super::format::Format;

/// `xz -9` needs 65 MiB; images made with a larger dictionary exist, 4 GiB ones do not.
const XZ_MEMORY_KIB: u32 = 256 << 10;
/// What `zstd --long` (27 bits) needs.
const ZSTD_WINDOW: u64 = 128 << 20;

/// The decoder of `format` over `source`.
pub(super) fn decoder<'a>(format: Format, source: impl Read + 'a) -> Box<dyn Read + 'a> {
    let source = BufReader::with_capacity(64 << 10, source);
    match format {
        // Several gzip members, zstd frames or xz streams behind one another are one
        // stream, as `cat a.gz b.gz` and parallel compressors make them.
        Format::Gzip => Box::new(MultiGzDecoder::new(source)),
        Format::Xz => Box::new(XzReader::new_mem_limit(source, true, XZ_MEMORY_KIB)),
        Format::Zstd => Box::new(Zstd::new(source)),
        Format::Tar | Format::Squashfs => Box::new(source),
    }
}

/// Reads all frames of a zstd stream and verifies their checksums.
struct Zstd<R> {
    source: R,
    frame: FrameDecoder,
    inside: bool,
}

impl<R: BufRead> Zstd<R> {
    fn new(source: R) -> Self {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(ZSTD_WINDOW);
        Self {
            source,
            frame,
            inside: false,
        }
    }

    /// Begins the next frame; false at the end of the source.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.frame.reset(&mut self.source) {
                Ok(()) => {
                    self.inside = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    let skipped = io::copy(&mut (&mut self.source).take(length), &mut io::sink())?;
                    if skipped < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use ruzstd::decoding::BlockDecodingStrategy::UptoBlocks;
        loop {
            if !self.inside && !self.next_frame()? {
                return Ok(0);
            }
            let n = self.frame.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            if self.frame.is_finished() {
                self.inside = false;
                let stored = self.frame.get_checksum_from_data();
                if stored.is_some() && stored != self.frame.get_calculated_checksum() {
                    return Err(io::Error::other("wrong checksum"));
                }
                continue;
            }
            self.frame
                .decode_blocks(&mut self.source, UptoBlocks(1))
                .map_err(io::Error::other)?;
        }
    }
}
