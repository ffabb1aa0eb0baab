//! T19: files in reports. Their references are committed to, and whoever has an object can be shown to have the file
//! that was sent, or not to have it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests stop where something is wrong")]

#[path = "support/att1.rs"]
mod att1;
#[path = "support/salamander.rs"]
mod construction;
#[path = "support/framing.rs"]
mod framing;
#[path = "support/hostile.rs"]
mod hostile;

use att1::Att1;
use construction::{Block, salamander};
use framing::{account, deliver, pair};
use hostile::commit_to;
use subrosa::attachment::{
    self, AttachmentRef, CheckedHeader, ChunkError, DecryptObjectError, Decryptor, DownloadError, ObjectError,
};
use subrosa::ident::Timestamp;
use subrosa::platform::{AttachmentMismatch, RejectReason, VerifiedMessage, verify_attachment};
use subrosa::report::{FrameError, Part, PartKind, PartView, PartsError, Reveal};

/// A canonical reference, of no object.
fn reference() -> Vec<u8> {
    Att1 { key: [1; 32], salt: [2; 16], log2: 12 }.reference_with(4096, 4096 + 104, [3; 32])
}

#[test]
fn t19_attachment_reference_is_bound() {
    let (mut platform, mut alice, mut bob) = pair(120);
    let reference = Part::attachment(&AttachmentRef::parse(&reference()).unwrap());
    let len = reference.body().len();
    let thumbnail = Part::new(PartKind::PREVIEW, vec![0xee; 40]);
    let post = alice.send_parts(&mut platform, &[reference.clone(), thumbnail.clone()]);
    deliver(&platform, &mut bob, &post);
    let verdict = platform.verify(bob.account(), &bob.report_all()).unwrap();
    assert_eq!(verdict.messages[0].open_parts().next(), Some((0, &reference)));
    let report = bob.report_all();
    let at = report.windows(len).position(|window| window == reference.body()).unwrap();
    for offset in 0..len {
        let mut altered = report.clone();
        altered[at + offset] ^= 1;
        assert_eq!(platform.refusal(bob.account(), &altered), RejectReason::BadStamp);
    }
    // The thumbnail alone.
    let mut builder = subrosa::report::ReportBuilder::new(bob.account());
    builder.add(&bob.log[0].0, &bob.log[0].1, Reveal::Parts(&[1])).unwrap();
    let verdict = platform.verify(bob.account(), &builder.build()).unwrap();
    assert_eq!(verdict.messages[0].open_parts().collect::<Vec<_>>(), [(1, &thumbnail)]);
    // Of what is not shown, and of what is no file, nothing is checked.
    let check = |part| verify_attachment(&verdict.messages[0], part, b"");
    assert_eq!(check(0), Err(AttachmentMismatch::NotOpen));
    assert_eq!(check(1), Err(AttachmentMismatch::NotAttachment));
    assert_eq!(check(2), Err(AttachmentMismatch::NotOpen));
}

/// What is no reference is refused by sender, receiver and verifier alike, though it was committed to and stamped.
#[test]
fn t19_what_is_no_reference_is_refused_by_all() {
    let good = reference();
    let altered = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let bad = [
        Vec::new(),
        (0..=141).collect(),
        altered(&|bytes| bytes.push(0)),
        altered(&|bytes| bytes.truncate(bytes.len() - 1)),
        altered(&|bytes| bytes[0] = 2),
        // An object of a length that no such file has.
        altered(&|bytes| bytes[64] ^= 1),
        // A name that is longer than what follows; one that is no text.
        altered(&|bytes| *bytes.last_mut().unwrap() = 1),
        altered(&|bytes| {
            *bytes.last_mut().unwrap() = 1;
            bytes.push(0xff);
        }),
    ];
    for (body, is_good) in bad.into_iter().map(|body| (body, false)).chain([(good.clone(), true)]) {
        let (mut platform, mut alice, mut bob) = pair(131);
        let parts = [Part::text("look"), Part::new(PartKind::ATTACHMENT, body)];
        let sent = alice.state.clone().seal(&parts, Timestamp::new(platform.now), &mut platform.rng);
        let hostile = commit_to(&mut alice, &mut platform, &parts);
        let accepted = bob.receive(&hostile.post, platform.now);
        if is_good {
            assert!(sent.is_ok());
            assert_eq!(accepted.unwrap().parts, parts);
            assert_eq!(bob.report_all(), hostile.report, "the hand-made report is what the builder makes");
            assert!(platform.verify(bob.account(), &hostile.report).is_ok());
            continue;
        }
        assert!(sent.is_err() && parts[1].view().is_err() && parts[1].attachment_ref().is_none());
        assert!(matches!(accepted, Err(FrameError::Parts(PartsError::Malformed(_)))));
        assert_eq!(platform.refusal(bob.account(), &hostile.report), RejectReason::Malformed);
    }
}

/// A message with one file, sent, reported and verified.
fn reported(reference: &AttachmentRef) -> VerifiedMessage {
    let (mut platform, mut alice, mut bob) = pair(132);
    let post = alice.send_parts(&mut platform, &[Part::text("look"), Part::attachment(reference)]);
    deliver(&platform, &mut bob, &post);
    let mut verdict = platform.verify(bob.account(), &bob.report_all()).unwrap();
    let message = verdict.messages.remove(0);
    assert_eq!((message.sender, message.parts.len()), (account("alice"), 2));
    message
}

/// Why an object is not the file; checked in one piece, and in a stream, which must come to the same.
#[track_caller]
fn mismatch(message: &VerifiedMessage, object: &[u8]) -> DecryptObjectError {
    let Err(AttachmentMismatch::Object(error)) = verify_attachment(message, 1, object) else {
        panic!("taken for the file");
    };
    assert!(streamed(message, object).is_none(), "a stream of it was taken for the file");
    error
}

/// As docs/platform.md has it for long files: header, list, and a piece at a time.
fn streamed(message: &VerifiedMessage, object: &[u8]) -> Option<Vec<u8>> {
    let (_, part) = message.open_parts().find(|(_, part)| part.kind() == PartKind::ATTACHMENT)?;
    let reference = part.attachment_ref()?;
    if u64::try_from(object.len()) != Ok(reference.object_len()) {
        return None;
    }
    let header = CheckedHeader::new(&reference, object.get(..56)?).ok()?;
    let list = usize::try_from(header.layout().list_range().start).unwrap();
    let opener = header.with_list(object.get(list..)?).ok()?;
    let (mut decryptor, mut plain) = (Decryptor::new(&opener), Vec::new());
    for mut bytes in object[56..list].chunks(1_000) {
        while let Some(piece) = decryptor.push(&mut bytes).ok()? {
            plain.extend_from_slice(piece);
        }
    }
    decryptor.finish().ok()?;
    Some(plain)
}

fn chunk_fault(chunk: u64, error: ChunkError) -> DecryptObjectError {
    DecryptObjectError::Decrypt(DownloadError::Chunk { chunk, error })
}

#[test]
fn t19_the_file_that_was_sent() {
    let mut rng = framing::Platform::new(1).rng;
    for len in [0, 1, 65_536, 200_000] {
        let file: Vec<u8> = (0..=255).cycle().take(len).collect();
        let (object, reference) = attachment::encrypt(&file, "image/png", "cat.png", &mut rng).unwrap();
        let message = reported(&reference);
        let (_, part) = message.open_parts().nth(1).unwrap();
        assert_eq!(part.view(), Ok(PartView::Attachment(reference)));
        let verified = verify_attachment(&message, 1, &object).unwrap();
        assert!(*verified.plain == file && streamed(&message, &object) == Some(file));
        assert_eq!((&*verified.media_type, &*verified.name), ("image/png", "cat.png"));
        assert!(!format!("{verified:?}").contains("cat.png"));
    }
}

#[test]
fn t19_object_swapped_or_truncated() {
    let mut rng = framing::Platform::new(2).rng;
    let file = vec![7; 150_000];
    let (object, reference) = attachment::encrypt(&file, "", "", &mut rng).unwrap();
    let message = reported(&reference);
    // The same file, sent to somebody else; another one of the same length.
    for file in [&file, &vec![8; 150_000]] {
        let (other, _) = attachment::encrypt(file, "", "", &mut rng).unwrap();
        assert_eq!(mismatch(&message, &other), DecryptObjectError::Open(ObjectError::OtherObject));
    }
    for len in [0, 1, 55, 56, 57, 56 + 65_552, object.len() - 33, object.len() - 32, object.len() - 1] {
        assert_eq!(mismatch(&message, &object[..len]), DecryptObjectError::Length);
    }
    assert_eq!(mismatch(&message, &[&object[..], &[0]].concat()), DecryptObjectError::Length);
    // One bit, wherever it is.
    for at in (0..object.len()).step_by(997).chain([0, 8, 24, 56, object.len() - 1]) {
        let mut altered = object.clone();
        altered[at] ^= 0x10;
        let error = mismatch(&message, &altered);
        let list = object.len() - 3 * 32;
        let expected = match at {
            0..8 => DecryptObjectError::Open(ObjectError::Header),
            8..24 => DecryptObjectError::Open(ObjectError::OtherObject),
            24..56 => DecryptObjectError::Open(ObjectError::Key),
            _ if at >= list => DecryptObjectError::Open(ObjectError::List),
            _ => chunk_fault(u64::try_from((at - 56) / 65_552).unwrap(), ChunkError::Altered),
        };
        assert_eq!(error, expected, "byte {at}");
    }
}

/// The sender knows the key and can seal anything under it, or under others; what was committed to stays one object.
#[test]
fn t19_object_encrypted_again_or_streamed_differently() {
    let sender = Att1 { key: [1; 32], salt: [2; 16], log2: 12 };
    let (shown, other) = ([7; 3 * 4096], [8; 3 * 4096]);
    let (chunks, others) = (sender.chunks(&shown), sender.chunks(&other));
    let reference = AttachmentRef::parse(&sender.reference(3 * 4096, &chunks)).unwrap();
    let message = reported(&reference);
    let object = sender.object(&chunks);
    assert_eq!(*verify_attachment(&message, 1, &object).unwrap().plain, shown);
    // The same file under another key, with another salt, in larger chunks.
    let again = |sender: Att1| sender.object(&sender.chunks(&shown));
    let key = again(Att1 { key: [9; 32], ..sender });
    assert_eq!(mismatch(&message, &key), DecryptObjectError::Open(ObjectError::Key));
    let salt = again(Att1 { salt: [9; 16], ..sender });
    assert_eq!(mismatch(&message, &salt), DecryptObjectError::Open(ObjectError::OtherObject));
    let larger = again(Att1 { log2: 13, ..sender });
    assert_eq!(mismatch(&message, &larger), DecryptObjectError::Length);
    // Another file under the same key and salt: every chunk opens. With its own list, and with the one committed to.
    assert_eq!(mismatch(&message, &sender.object(&others)), DecryptObjectError::Open(ObjectError::List));
    let list = &object[object.len() - 3 * 32..];
    let mixed = |chunks: &[&Vec<u8>]| {
        let chunks: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.iter().copied()).collect();
        [&object[..56], &chunks, list].concat()
    };
    let [a, b, c] = [&chunks[0], &chunks[1], &chunks[2]];
    assert_eq!(mixed(&[a, b, c]), object);
    for (chunks, at) in [
        ([&others[0], &others[1], &others[2]], 0),
        ([a, &others[1], c], 1),
        ([a, b, &others[2]], 2),
        ([b, a, c], 0),
        ([a, c, b], 1),
        ([a, b, b], 2),
    ] {
        assert_eq!(mismatch(&message, &mixed(&chunks)), chunk_fault(at, ChunkError::Altered));
    }
    // What a victim was streamed and what is stored: chunk by chunk the reference decides, and for one of them only.
    let opener = CheckedHeader::new(&reference, &object[..56]).unwrap().with_list(list).unwrap();
    for (chunk, (committed, other)) in (0..).zip(chunks.iter().zip(&others)) {
        assert!(opener.open_chunk(chunk, committed).unwrap() == [7; 4096]);
        assert_eq!(opener.open_chunk(chunk, other), Err(ChunkError::Altered));
    }
}

/// A sender who commits to what nobody can open, or to something hidden behind the file's end, is told apart from a
/// store that exchanged it.
#[test]
fn t19_committed_to_what_is_no_file() {
    let sender = Att1 { key: [1; 32], salt: [2; 16], log2: 12 };
    let other = Att1 { key: [9; 32], ..sender };
    let mut hidden = [0; 4096];
    hidden[4095] = 1;
    for chunk in [vec![0xaa; 4096 + 16], other.seal(0, true, &[7; 4096]), sender.seal(0, true, &hidden)] {
        let chunks = [chunk];
        // Its padding fills the chunk.
        let message = reported(&AttachmentRef::parse(&sender.reference(4_000, &chunks)).unwrap());
        assert_eq!(mismatch(&message, &sender.object(&chunks)), chunk_fault(0, ChunkError::Forged));
    }
}

/// A sender commits to a file of which one chunk opens for nobody: the program that showed the others to the victim leaves
/// nothing to report, if it is all or nothing. What opens is shown, and the sender is blamed; a store that exchanged a chunk
/// of the same file blames nobody.
#[test]
fn t19_a_forged_chunk_hides_nothing() {
    let sender = Att1 { key: [1; 32], salt: [2; 16], log2: 12 };
    for forged in 0..3usize {
        let mut chunks = sender.chunks(&[[7; 4096], [8; 4096], [9; 4096]].concat());
        chunks[forged][5] ^= 1;
        let message = reported(&AttachmentRef::parse(&sender.reference(3 * 4096, &chunks)).unwrap());
        let object = sender.object(&chunks);
        let error = verify_attachment(&message, 1, &object).unwrap_err();
        assert_eq!(error.blames(&message), Some(account("alice")));
        let AttachmentMismatch::Forged(file) = error else { panic!("{error:?}") };
        assert_eq!(file.forged, [u64::try_from(forged).unwrap()]);
        let expected = (0..3u64).filter(|chunk| *chunk != file.forged[0]);
        let pieces = file.pieces.iter().map(|(at, piece)| (*at, piece[..].to_vec()));
        assert!(pieces.eq(expected.map(|chunk| (chunk * 4096, vec![7 + u8::try_from(chunk).unwrap(); 4096]))));
        let mut exchanged = object.clone();
        exchanged[56 + ((forged + 1) % 3) * 4112] ^= 1;
        let error = verify_attachment(&message, 1, &exchanged).unwrap_err();
        assert!(matches!(error, AttachmentMismatch::Object(_)), "{error:?}");
        assert_eq!(error.blames(&message), None);
    }
    // Not one of them opens: nobody was shown anything, and it is the sender's doing as well.
    let other = Att1 { key: [9; 32], ..sender };
    let chunks = other.chunks(&[7; 2 * 4096]);
    let message = reported(&AttachmentRef::parse(&sender.reference(2 * 4096, &chunks)).unwrap());
    let error = verify_attachment(&message, 1, &sender.object(&chunks)).unwrap_err();
    assert_eq!(error, AttachmentMismatch::Object(chunk_fault(0, ChunkError::Forged)));
    assert_eq!(error.blames(&message), Some(account("alice")));
}

/// The two-key ciphertext of CRYPTO 2018 as a stored object: the abusive picture is what the victim saw, the innocent
/// one is what the abuser would have the platform see. One of them is the file, and it is the one committed to.
#[test]
fn t19_salamander_object() {
    const INNOCENT: [u8; 16] = *b"a photo of a cat";
    const ABUSIVE: [u8; 16] = *b"what was shown..";
    let abusive = Att1 { key: [1; 32], salt: [9; 16], log2: 12 };
    let innocent = Att1 { key: [2; 32], salt: [9; 16], log2: 12 };
    let blocks: Vec<Block> = (0..256)
        .map(|at| match at {
            0 => Block::Free,
            1..128 => Block::First(ABUSIVE),
            _ => Block::Second(INNOCENT),
        })
        .collect();
    let keys = [&abusive.chunk_key(), &innocent.chunk_key()];
    let chunks = [salamander(keys, &Att1::nonce(0, true), &[], &blocks)];
    // Both are files, by a reference of their own each. Both objects have the very same chunk.
    let parse = |bytes: &[u8]| AttachmentRef::parse(bytes).unwrap();
    let (shown, harmless) = (abusive.object(&chunks), innocent.object(&chunks));
    let sent = reported(&parse(&abusive.reference(4096, &chunks)));
    let never_sent = reported(&parse(&innocent.reference(4096, &chunks)));
    let has = |message: &VerifiedMessage, object: &[u8], text: &[u8; 16]| {
        verify_attachment(message, 1, object).unwrap().plain.windows(16).any(|window| window == text)
    };
    assert!(has(&sent, &shown, &ABUSIVE) && !has(&sent, &shown, &INNOCENT));
    assert!(has(&never_sent, &harmless, &INNOCENT) && !has(&never_sent, &harmless, &ABUSIVE));
    // The stored object is exchanged for its innocent twin: refused.
    assert_eq!(mismatch(&sent, &harmless), DecryptObjectError::Open(ObjectError::Key));
    // The reference names the innocent key, and the object that was shown: refused.
    let crossed = reported(&parse(&innocent.reference_with(4096, 4096 + 104, abusive.root(&chunks))));
    assert_eq!(mismatch(&crossed, &shown), DecryptObjectError::Open(ObjectError::Key));
    assert_eq!(mismatch(&crossed, &harmless), DecryptObjectError::Open(ObjectError::List));
    // The header alone exchanged: refused.
    let patched = [&harmless[..56], &shown[56..]].concat();
    assert_eq!(mismatch(&sent, &patched), DecryptObjectError::Open(ObjectError::Key));
}
