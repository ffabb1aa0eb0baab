//! A video goes from Alice to Bob: encrypted while it is read, the upload broken off and resumed, one scene opened from
//! the middle, the download broken off and resumed, and altered objects refused. The "server" is a file.

#![allow(clippy::print_stdout, reason = "an example talks")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the host does the I/O")]

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use subrosa::attachment::{
    AttachmentKey, AttachmentRef, AttachmentUpload, CheckedHeader, ChunkSize, Decryptor, Opener, UploadNext, decrypt,
};

type Failed = Box<dyn Error>;

const VIDEO: u64 = 48 << 20;
/// Chunks that are staged together: their hashes are one durable write.
const BATCH: u64 = 32;

fn main() -> Result<(), Failed> {
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let folder = std::env::temp_dir().join(format!("subrosa-media-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let [video, record, server, received] =
        ["video.mp4", "upload.record", "server", "received.mp4"].map(|name| folder.join(name));
    write_video(&video)?;
    println!("Alice has a video of {} MiB.", VIDEO >> 20);

    // The key and the salt are durable before anything leaves. A real host seals this record, and keeps it from backups.
    let upload = AttachmentUpload::new(AttachmentKey::random(&mut rng), VIDEO, ChunkSize::DEFAULT, &mut rng)?;
    fs::write(&record, upload.to_bytes())?;
    fs::write(&server, b"")?;
    drop(upload);
    let sent = send(&video, &record, &server, 19_000_001)?;
    println!("Upload: the connection broke after {sent} bytes, in the middle of a chunk.");
    let sent = send(&video, &record, &server, u64::MAX)?;
    println!("Upload: resumed from the record on disk, another {sent} bytes, complete.");

    let reference = AttachmentUpload::from_bytes(&fs::read(&record)?)?.reference("video/mp4", "rose garden.mp4")?;
    fs::remove_file(&record)?;
    let message = reference.to_bytes();
    println!("The message to Bob carries a reference of {} bytes; the server has {} bytes of noise.", message.len(), {
        reference.object_len()
    });

    // Bob fetches the header and the list of hashes first: 24 KiB, checked against the reference.
    let reference = AttachmentRef::parse(&message)?;
    let opener = check(&reference, &server)?;
    let layout = *opener.layout();
    println!("Bob: \"{}\", {} MiB in {} chunks; the list is the one committed to.", reference.name(), VIDEO >> 20, {
        layout.chunks()
    });

    let scene = VIDEO / 2 + 12_345;
    let chunk = layout.chunk_at_plain(scene).ok_or("no such scene")?;
    let range = layout.object_range(chunk..chunk + 1).ok_or("no such chunk")?;
    let stored = fetch(&server, range.clone())?;
    let shown = opener.open_chunk(chunk, &stored)?;
    let start = layout.plain_range(chunk..chunk + 1).ok_or("no such chunk")?.start;
    assert_eq!(shown, content(start, shown.len()));
    println!("Bob seeks to byte {scene}: chunk {chunk}, {} bytes fetched, opened alone.", range.end - range.start);

    let mut file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&received)?;
    let there = receive(&opener, &server, &mut file, 30_000_000)?;
    println!("Download: the connection broke; {there} bytes of the video are there and checked.");
    let there = receive(&opener, &server, &mut file, u64::MAX)?;
    assert_eq!((there, fs::read(&received)? == fs::read(&video)?), (VIDEO, true));
    println!("Download: resumed, {there} bytes, equal to Alice's.");

    refusals(&reference, &opener, &fs::read(&server)?, &stored, chunk)?;
    fs::remove_dir_all(&folder)?;
    Ok(())
}

/// A line that stays where it is, on the terminal's error stream.
fn progress(what: &str, there: u64, of: u64) {
    eprint!("\r  {what} {:3} %\r", there * 100 / of.max(1));
}

/// Uploads until all is there or the connection breaks, and gives how much arrived.
fn send(video: &Path, record: &Path, server: &Path, connection: u64) -> Result<u64, Failed> {
    let mut upload = AttachmentUpload::from_bytes(&fs::read(record)?)?;
    let mut remote = OpenOptions::new().append(true).open(server)?;
    let before = fs::metadata(server)?.len();
    loop {
        let there = fs::metadata(server)?.len();
        progress("sent", there, upload.layout().object_len());
        let left = usize::try_from(connection.saturating_sub(there - before)).unwrap_or(usize::MAX);
        let mut give = |bytes: &[u8]| remote.write_all(bytes.get(..left.min(bytes.len())).unwrap_or_default());
        match upload.next_after(there)? {
            _ if left == 0 => return Ok(there - before),
            UploadNext::Header { skip } => give(upload.header().get(skip..).unwrap_or_default())?,
            UploadNext::Chunk { index, skip } => {
                let layout = *upload.layout();
                let chunks = index..(index + BATCH).min(layout.chunks());
                let plain = fetch(video, layout.plain_range(chunks.clone()).ok_or("no such chunks")?)?;
                let staged = upload.stage(chunks, &plain)?;
                // First the hashes reach the disk, under another name so that the record is never half of itself ...
                let draft = record.with_extension("draft");
                let mut file = File::create(&draft)?;
                file.write_all(&staged.record())?;
                file.sync_all()?;
                fs::rename(&draft, record)?;
                // ... then the bytes may leave.
                give(staged.committed().get(skip..).unwrap_or_default())?;
            }
            UploadNext::List { skip } => give(upload.list().get(skip..).unwrap_or_default())?,
            UploadNext::Done => return Ok(there - before),
            _ => return Err("a step that this program does not know".into()),
        }
    }
}

fn check(reference: &AttachmentRef, server: &Path) -> Result<Opener, Failed> {
    let header = CheckedHeader::new(reference, &fetch(server, 0..56)?)?;
    let list = fetch(server, header.layout().list_range())?;
    Ok(header.with_list(&list)?)
}

/// Downloads what is not there yet, until all is or the connection breaks; gives the length of what is there.
fn receive(opener: &Opener, server: &Path, file: &mut File, connection: u64) -> Result<u64, Failed> {
    let mut decryptor = Decryptor::resume(opener, file.metadata()?.len());
    file.set_len(decryptor.plain_position())?;
    file.seek(SeekFrom::End(0))?;
    let end = opener.layout().list_range().start;
    let end = end.min(decryptor.position().saturating_add(connection));
    while decryptor.position() < end {
        let at = decryptor.position();
        // As a network would give it.
        let packet = fetch(server, at..end.min(at + 100_000))?;
        let mut bytes = &packet[..];
        while let Some(piece) = decryptor.push(&mut bytes)? {
            file.write_all(piece)?;
        }
        progress("received", decryptor.position(), opener.layout().object_len());
    }
    let there = decryptor.plain_position();
    if end == opener.layout().list_range().start {
        decryptor.finish()?;
    }
    Ok(there)
}

/// What a hostile server tries, and why it is refused.
fn refusals(
    reference: &AttachmentRef,
    opener: &Opener,
    object: &[u8],
    stored: &[u8],
    chunk: u64,
) -> Result<(), Failed> {
    let bit = |at: usize| {
        let mut altered = object.to_vec();
        if let Some(byte) = altered.get_mut(at) {
            *byte ^= 1;
        }
        decrypt(reference, &altered).err()
    };
    let cut = object.get(..object.len() / 2).unwrap_or_default();
    let other_key = {
        let mut bytes = reference.to_bytes();
        if let Some(byte) = bytes.get_mut(1) {
            *byte ^= 1;
        }
        decrypt(&AttachmentRef::parse(&bytes)?, object).err()
    };
    let (other, _) = subrosa::attachment::encrypt(b"another", "", "", &mut rand_core::UnwrapErr(getrandom::SysRng))?;
    for (attempt, refusal) in [
        ("one bit of a chunk altered", bit(1_000_000)),
        ("one bit of the list altered", bit(object.len() - 1)),
        ("half of the object", decrypt(reference, cut).err()),
        ("the object under another key", other_key),
    ] {
        println!("Refused, {attempt}: {}", refusal.ok_or("it was not refused")?);
    }
    let swapped = CheckedHeader::new(reference, other.get(..56).unwrap_or_default()).err();
    println!("Refused, another object: {}", swapped.ok_or("it was not refused")?);
    let reordered = opener.open_chunk(chunk + 1, stored).err();
    println!("Refused, a chunk in the next one's place: {}", reordered.ok_or("it was not refused")?);
    Ok(())
}

/// A range of a file, as a server or a disk gives it.
fn fetch(path: &Path, range: Range<u64>) -> Result<Vec<u8>, Failed> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(range.start))?;
    let mut bytes = Vec::new();
    file.take(range.end - range.start).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The video at an offset that is a multiple of 8: words that differ everywhere.
fn content(at: u64, len: usize) -> Vec<u8> {
    let words = (at / 8..).flat_map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    words.take(len).collect()
}

fn write_video(path: &Path) -> Result<(), Failed> {
    let mut file = File::create(path)?;
    for part in 0..VIDEO >> 20 {
        file.write_all(&content(part << 20, 1 << 20))?;
    }
    Ok(())
}
