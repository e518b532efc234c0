//! What an upload is, found from its bytes.
//!
//! Owns the list of kinds that are taken. Invariants: a picture is measured by its header before anything
//! is decoded; decoding never takes more than [`DECODE_BYTES_MAX`], so a larger picture is taken by its header.

use std::io::Cursor;

use bytes::Bytes;
use image::{ImageFormat, ImageReader, Limits};
use tokio::sync::Semaphore;

use crate::app::failure::{Failure, Outcome};

/// Longest file: what the most generous network takes as a picture.
pub const BYTES_MAX: usize = 20 * 1024 * 1024;
/// Most pixels; more is a bomb or of no use on a screen.
const PIXELS_MAX: u64 = 50_000_000;
/// Longest side.
const SIDE_MAX: u32 = 30_000;
/// Bytes for decoding: small servers have little more to spare.
const DECODE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// What a decoder takes for a pixel at most: a progressive JPEG's coefficients and the pixel itself.
const DECODE_BYTES_PER_PIXEL: u64 = 9;
/// Pixels in a byte at most: deflate packs 1032 to 1, with eight pixels of one bit in a byte.
const PIXELS_PER_BYTE_MAX: u64 = 8 * 1032;

/// A picture that was understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) mime: &'static str,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// Finds out what the bytes are.
pub(super) async fn inspect(decoding: &Semaphore, bytes: Bytes) -> Outcome<Picture> {
    let picture = measure(&bytes)?;
    let pixels = u64::from(picture.width) * u64::from(picture.height);
    if pixels * DECODE_BYTES_PER_PIXEL > DECODE_BYTES_MAX {
        // Decoded by the network that shows it, which has the memory.
        let holds = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        return if pixels / PIXELS_PER_BYTE_MAX > holds {
            Err(broken())
        } else {
            Ok(picture)
        };
    }
    // Pictures are decoded one at a time: the memory for one is the memory for all.
    let _turn = decoding.acquire().await.map_err(|_| Failure::internal())?;
    let decoded = tokio::task::spawn_blocking(move || decode(&bytes)).await;
    decoded.map_err(|_| broken())??;
    Ok(picture)
}

fn measure(bytes: &[u8]) -> Outcome<Picture> {
    if bytes.len() > BYTES_MAX {
        return Err(
            Failure::new(413, "media.too_large", "The file is too large")
                .detail(format!("It may have {BYTES_MAX} bytes."))
                .next_step("Make the picture smaller."),
        );
    }
    let format = image::guess_format(bytes).ok();
    let mime = match format {
        Some(ImageFormat::Jpeg) => "image/jpeg",
        Some(ImageFormat::Png) => "image/png",
        Some(ImageFormat::Gif) => "image/gif",
        Some(ImageFormat::WebP) => "image/webp",
        _ => return Err(not_taken()),
    };
    let reader = ImageReader::with_format(Cursor::new(bytes), format.ok_or_else(not_taken)?);
    let (width, height) = reader.into_dimensions().map_err(|_| broken())?;
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(broken());
    }
    if pixels > PIXELS_MAX || width > SIDE_MAX || height > SIDE_MAX {
        return Err(Failure::new(
            422,
            "media.too_many_pixels",
            "The picture has too many pixels",
        )
        .detail(format!(
            "It is {width} by {height}; {PIXELS_MAX} pixels are taken, {SIDE_MAX} on a side."
        ))
        .next_step("Make the picture smaller."));
    }
    Ok(Picture {
        mime,
        width,
        height,
    })
}

// The first frame is enough: what follows is checked by the network that shows it.
fn decode(bytes: &[u8]) -> Outcome<()> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|_| broken())?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODE_BYTES_MAX);
    reader.limits(limits);
    reader.decode().map(drop).map_err(|_| broken())
}

fn not_taken() -> Failure {
    Failure::new(415, "media.kind", "Files of this kind are not taken")
        .detail("The bytes are no JPEG, PNG, GIF or WebP picture, whatever the name says.")
        .next_step("Save the picture as JPEG, PNG, GIF or WebP and upload that. SVG may hold programs and is not taken.")
}

fn broken() -> Failure {
    Failure::new(422, "media.broken", "The picture cannot be read")
        .detail("It begins like a picture, but is cut off or damaged.")
        .next_step("Open it in an image program, save it anew and upload that.")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small picture of a kind.
    pub(crate) fn picture(format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image::DynamicImage::new_rgb8(3, 2)
            .write_to(&mut bytes, format)
            .unwrap();
        bytes.into_inner()
    }

    /// A PNG whose header claims a size that its few bytes do not hold.
    pub(crate) fn bomb(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = picture(ImageFormat::Png);
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let crc = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 {
                    (crc >> 1) ^ 0xedb8_8320
                } else {
                    crc >> 1
                };
            }
        }
        !crc
    }

    async fn code(bytes: Vec<u8>) -> String {
        match inspect(&Semaphore::new(1), bytes.into()).await {
            Ok(picture) => format!("{} {}x{}", picture.mime, picture.width, picture.height),
            Err(failure) => failure.problem.code.clone(),
        }
    }

    #[tokio::test]
    async fn the_bytes_decide_what_a_file_is() {
        assert_eq!(code(picture(ImageFormat::Png)).await, "image/png 3x2");
        assert_eq!(code(picture(ImageFormat::Jpeg)).await, "image/jpeg 3x2");
        assert_eq!(code(picture(ImageFormat::Gif)).await, "image/gif 3x2");
        assert_eq!(code(picture(ImageFormat::WebP)).await, "image/webp 3x2");
        assert_eq!(
            code(b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>".to_vec()).await,
            "media.kind"
        );
        assert_eq!(code(b"MZ\x90\0 program".to_vec()).await, "media.kind");
        assert_eq!(code(Vec::new()).await, "media.kind");
    }

    #[tokio::test]
    async fn a_bomb_is_refused_by_its_header() {
        assert_eq!(code(bomb(60_000, 60_000)).await, "media.too_many_pixels");
        assert_eq!(code(bomb(29_000, 29_000)).await, "media.too_many_pixels");
        assert_eq!(code(bomb(40_000, 1)).await, "media.too_many_pixels");
        // Within the bounds, but the pixels are not there.
        assert_eq!(code(bomb(5000, 5000)).await, "media.broken");
    }

    #[tokio::test]
    async fn a_picture_too_large_to_decode_is_taken_by_its_header() {
        // Decoding it would fail: most of its pixels are not there.
        let mut large = bomb(3000, 3000);
        large.resize(4096, 0);
        assert_eq!(code(large).await, "image/png 3000x3000");
        let mut small = bomb(1000, 1000);
        small.resize(4096, 0);
        assert_eq!(code(small).await, "media.broken");
    }

    #[tokio::test]
    async fn a_damaged_picture_is_not_kept() {
        let mut cut = picture(ImageFormat::Png);
        cut.truncate(40);
        assert_eq!(code(cut).await, "media.broken");
        let mut large = picture(ImageFormat::Png);
        large.resize(BYTES_MAX + 1, 0);
        assert_eq!(code(large).await, "media.too_large");
    }
}
