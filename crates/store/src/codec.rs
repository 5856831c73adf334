//! Compression: recognised by the first bytes, undone in this process. The names of files say nothing.

use std::io::{self, BufRead, Read};

use crate::Result;
use crate::error::Context;

/// How bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

/// Memory that an xz decoder may take: its strongest preset needs 65 MiB.
const XZ_MEMORY: u64 = 128 << 20;
/// The largest window of a zstd frame, as a power of two: `--ultra -22` uses it.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Bytes that tell a format.
const PEEK: usize = 8;
/// Bytes that are read at once.
const BUFFER: usize = 64 << 10;

/// Recognises the compression by the first bytes.
pub(crate) fn detect(start: &[u8]) -> Compression {
    match start {
        [0x1f, 0x8b, 8, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Compression::Bzip2,
        _ => Compression::None,
    }
}

/// The bytes without their compression. Several members or frames in a row are one stream.
pub(crate) fn decoder<'a, R: BufRead + Send + 'a>(
    compression: Compression,
    input: R,
) -> Result<Box<dyn Read + Send + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(input),
        Compression::Gzip => Box::new(Named("gzip", flate2::bufread::MultiGzDecoder::new(input))),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input).context("start zstd")?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).context("start zstd")?;
            Box::new(Named("zstd", decoder))
        }
        Compression::Xz => {
            let flags = liblzma::stream::CONCATENATED;
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, flags)
                .map_err(io::Error::from)
                .context("start xz")?;
            Box::new(Named("xz", liblzma::bufread::XzDecoder::new_stream(input, stream)))
        }
        Compression::Bzip2 => Box::new(Named("bzip2", bzip2::bufread::MultiBzDecoder::new(input))),
    })
}

/// The bytes of a stream without their compression, which its first bytes tell.
///
/// # Errors
/// The input's failure.
pub fn decompressed<'a>(input: impl Read + Send + 'a) -> Result<impl BufRead + 'a> {
    let (start, input) = peek(input, PEEK).context("read the archive")?;
    let decoder = decoder(detect(&start), io::BufReader::with_capacity(BUFFER, input))?;
    Ok(io::BufReader::with_capacity(BUFFER, decoder))
}

/// Gives a decoder's complaints its name and the kind that says "the input is wrong".
struct Named<R>(&'static str, R);

impl<R: Read> Read for Named<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::Interrupted => error,
            // The stream below failed by itself.
            _ if error.raw_os_error().is_some() => error,
            _ => io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", self.0)),
        })
    }
}

/// Reads what is needed to recognise a format, and gives a reader that begins with it.
pub(crate) fn peek<R: Read>(mut input: R, count: usize) -> io::Result<(Vec<u8>, impl Read + use<R>)> {
    let mut start = Vec::with_capacity(count);
    input.by_ref().take(count as u64).read_to_end(&mut start)?;
    Ok((start.clone(), io::Cursor::new(start).chain(input)))
}
