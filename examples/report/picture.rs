//! A real PNG, written and looked at without a library.

/// A picture in one colour: signature, header, one stored block of pixels, end. Up to 400 by 50 pixels.
pub(crate) fn red_door(width: u16, height: u16) -> Vec<u8> {
    let row = [&[0][..], &[200, 30, 30].repeat(usize::from(width))].concat();
    let pixels = row.repeat(usize::from(height));
    let (a, b) = pixels.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    // A stored block's length has two bytes.
    let len = u16::try_from(pixels.len()).unwrap_or_default();
    let zlib =
        [&[0x78, 0x01, 0x01][..], &len.to_le_bytes(), &(!len).to_le_bytes(), &pixels, &((b << 16) | a).to_be_bytes()]
            .concat();
    let size = [u32::from(width).to_be_bytes(), u32::from(height).to_be_bytes()].concat();
    let header = [&size[..], &[8, 2, 0, 0, 0]].concat();
    [SIGNATURE, &chunk(b"IHDR", &header), &chunk(b"IDAT", &zlib), &chunk(b"IEND", &[])].concat()
}

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind, data].concat();
    let crc = body.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    });
    let len = u32::try_from(data.len()).unwrap_or_default().to_be_bytes();
    [&len[..], &body, &(!crc).to_be_bytes()].concat()
}

/// What a file is, by its first bytes.
pub(crate) fn describe(file: &[u8]) -> String {
    let header = file.strip_prefix(SIGNATURE).and_then(|rest| rest.get(4..16)?.strip_prefix(b"IHDR"));
    let number = |bytes: Option<&[u8]>| bytes.and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    match header.and_then(|size| Some((number(size.get(..4))?, number(size.get(4..))?))) {
        Some((width, height)) => format!("a PNG of {width} by {height} pixels, {} bytes", file.len()),
        None => format!("no picture, {} bytes", file.len()),
    }
}
