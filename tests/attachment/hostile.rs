//! Objects that are not what the reference commits to, and senders who commit to what is no attachment.

use super::att1::{Att1, sha256};
use super::{encrypt_in, file, opener, size, slice, wide};
use subrosa::attachment::{
    AttachmentRef, CheckedHeader, ChunkError, DecryptObjectError, Decryptor, DownloadError, ObjectError, RefError,
    decrypt,
};

const LEN: usize = 10_000;

/// Three chunks of 4 KiB, the last one shorter.
fn example() -> (Vec<u8>, AttachmentRef) {
    encrypt_in(&file(LEN), 12, &[1_000], 1)
}

fn altered_chunk(chunk: u64) -> DecryptObjectError {
    DecryptObjectError::Decrypt(DownloadError::Chunk { chunk, error: ChunkError::Altered })
}

fn forged_chunk(chunk: u64) -> DecryptObjectError {
    DecryptObjectError::Decrypt(DownloadError::Chunk { chunk, error: ChunkError::Forged })
}

/// Where the chunks begin and the list.
const CHUNKS: [usize; 4] = [56, 56 + 4_112, 56 + 2 * 4_112, 56 + 10_240 + 48];

#[test]
fn an_altered_bit_anywhere_is_refused() {
    let (object, reference) = example();
    for at in 0..object.len() {
        let mut altered = object.clone();
        altered[at] ^= 1 << (at % 8);
        let error = decrypt(&reference, &altered).unwrap_err();
        let expected = match at {
            0..8 => {
                // Chunks of 8 KiB, to name one: the header then commits to another key.
                assert!(matches!(error, DecryptObjectError::Open(ObjectError::Header | ObjectError::Key)), "byte {at}");
                continue;
            }
            8..24 => DecryptObjectError::Open(ObjectError::OtherObject),
            24..56 => DecryptObjectError::Open(ObjectError::Key),
            _ if at < CHUNKS[1] => altered_chunk(0),
            _ if at < CHUNKS[2] => altered_chunk(1),
            _ if at < CHUNKS[3] => altered_chunk(2),
            _ => DecryptObjectError::Open(ObjectError::List),
        };
        assert_eq!(error, expected, "byte {at}");
    }
}

#[test]
fn truncation_is_refused() {
    let (object, reference) = example();
    for len in (0..object.len()).step_by(7).chain([object.len() - 1, object.len() - 32, CHUNKS[2], CHUNKS[3]]) {
        assert_eq!(decrypt(&reference, &object[..len]), Err(DecryptObjectError::Length), "cut to {len}");
    }
    // A stream that stops early, even at the end of a chunk, is not taken for the whole.
    let opener = opener(&reference, &object);
    for end in CHUNKS[..3].iter().copied().chain([57, CHUNKS[3] - 1]) {
        let mut decryptor = Decryptor::new(&opener);
        let mut bytes = &object[56..end];
        while decryptor.push(&mut bytes).unwrap().is_some() {}
        assert_eq!(decryptor.position(), wide(end));
        assert_eq!(decryptor.finish().unwrap_err(), DownloadError::Truncated, "cut to {end}");
    }
    // A list without its last hash, and a chunk without its last byte.
    let header = || CheckedHeader::new(&reference, &object[..56]).unwrap();
    assert_eq!(header().with_list(&object[CHUNKS[3]..object.len() - 32]).unwrap_err(), ObjectError::List);
    assert_eq!(opener.open_chunk(2, &object[CHUNKS[2]..CHUNKS[3] - 1]), Err(ChunkError::Length));
    assert_eq!(opener.open_chunk(0, &[]), Err(ChunkError::Length));
}

#[test]
fn extension_is_refused() {
    let (object, reference) = example();
    let longer = [&object[..], &[0]].concat();
    assert_eq!(decrypt(&reference, &longer), Err(DecryptObjectError::Length));
    let opener = opener(&reference, &object);
    let mut decryptor = Decryptor::new(&opener);
    let mut bytes = &object[56..=CHUNKS[3]];
    let mut plain = Vec::new();
    let error = loop {
        match decryptor.push(&mut bytes) {
            Ok(piece) => plain.extend_from_slice(piece.unwrap()),
            Err(error) => break error,
        }
    };
    assert_eq!((error, plain), (DownloadError::Excess, file(LEN)));
    let list = [&object[CHUNKS[3]..], &[0; 32]].concat();
    let header = || CheckedHeader::new(&reference, &object[..56]).unwrap();
    assert_eq!(header().with_list(&list).unwrap_err(), ObjectError::List);
    assert_eq!(header().with_list(&list[..97]).unwrap_err(), ObjectError::List);
    assert_eq!(opener.open_chunk(0, &object[56..=CHUNKS[1]]), Err(ChunkError::Length));
}

#[test]
fn reordering_is_refused() {
    let (object, reference) = example();
    let [first, second] = [&object[56..CHUNKS[1]], &object[CHUNKS[1]..CHUNKS[2]]];
    let swapped = [&object[..56], second, first, &object[CHUNKS[2]..]].concat();
    assert_eq!(decrypt(&reference, &swapped), Err(altered_chunk(0)));
    // With the list swapped alike.
    let list = CHUNKS[3];
    let mut both = swapped;
    both[list..list + 64].rotate_left(32);
    assert_eq!(decrypt(&reference, &both), Err(DecryptObjectError::Open(ObjectError::List)));
    let opener = opener(&reference, &object);
    assert_eq!(opener.open_chunk(1, first), Err(ChunkError::Altered));
    assert_eq!(opener.open_chunk(0, first).unwrap(), file(LEN)[..4_096]);
    for chunk in [3, 4, u64::MAX] {
        assert_eq!(opener.open_chunk(chunk, first), Err(ChunkError::NoSuchChunk));
        assert_eq!(opener.open_chunk_in_place(chunk, &mut first.to_vec()), Err(ChunkError::NoSuchChunk));
    }
}

#[test]
fn a_second_key_is_refused() {
    let (object, reference) = example();
    let mut bytes = reference.to_bytes().to_vec();
    bytes[1] ^= 1;
    let other = AttachmentRef::parse(&bytes).unwrap();
    assert_eq!(decrypt(&other, &object), Err(DecryptObjectError::Open(ObjectError::Key)));
}

#[test]
fn a_swapped_object_is_refused() {
    let (object, reference) = example();
    let (other, _) = encrypt_in(&file(LEN), 12, &[1_000], 2);
    assert_eq!(decrypt(&reference, &other), Err(DecryptObjectError::Open(ObjectError::OtherObject)));
    // Another file under the same key and salt, which only its sender could make: header alike, list not.
    let second = Att1 { key: *reference.key().secret().expose(), salt: *reference.salt(), log2: 12 };
    let other = second.object(&second.chunks(&[1; LEN]));
    assert_eq!(decrypt(&reference, &other), Err(DecryptObjectError::Open(ObjectError::List)));
    let mixed = [&other[..CHUNKS[3]], &object[CHUNKS[3]..]].concat();
    assert_eq!(decrypt(&reference, &mixed), Err(altered_chunk(0)));
}

/// T19: object swapped, truncated, re-encrypted under another key, or streamed differently from what was committed.
#[test]
fn t19_an_object_other_than_the_one_committed_to() {
    let (object, reference) = example();
    let (swapped, _) = encrypt_in(&file(LEN), 12, &[1_000], 2);
    assert_eq!(decrypt(&reference, &swapped), Err(DecryptObjectError::Open(ObjectError::OtherObject)));
    assert_eq!(decrypt(&reference, &object[..CHUNKS[2]]), Err(DecryptObjectError::Length));

    let rekeyed = Att1 { key: [8; 32], salt: *reference.salt(), log2: 12 };
    let rekeyed = rekeyed.object(&rekeyed.chunks(&file(LEN)));
    assert_eq!(rekeyed.len(), object.len());
    assert_eq!(decrypt(&reference, &rekeyed), Err(DecryptObjectError::Open(ObjectError::Key)));

    // The sender itself streams something else than it committed to: sealed right, under the right key.
    let sender = Att1 { key: *reference.key().secret().expose(), salt: *reference.salt(), log2: 12 };
    let streamed = sender.chunks(&[7; LEN]);
    let opener = opener(&reference, &object);
    let mut decryptor = Decryptor::new(&opener);
    let mut first = &object[56..CHUNKS[1]];
    assert_eq!(decryptor.push(&mut first).unwrap().unwrap(), &file(LEN)[..4_096]);
    let mut other = &streamed[1][..];
    let refused = DownloadError::Chunk { chunk: 1, error: ChunkError::Altered };
    assert_eq!(decryptor.push(&mut other).unwrap_err(), refused);
    // The right bytes are still accepted.
    assert_eq!(decryptor.position(), wide(CHUNKS[1]));
    let mut right = &object[CHUNKS[1]..CHUNKS[3]];
    let mut plain = file(LEN)[..4_096].to_vec();
    while let Some(piece) = decryptor.push(&mut right).unwrap() {
        plain.extend_from_slice(piece);
    }
    assert!(decryptor.finish().is_ok() && plain == file(LEN));
}

/// After a refusal the chunk's right bytes are taken, however both come in slices.
#[test]
fn a_refused_chunk_can_be_fetched_again() {
    let (object, reference) = example();
    let mut altered = object.clone();
    altered[CHUNKS[1] + 3_000] ^= 1;
    let opener = opener(&reference, &object);
    for len in [1, 100, 4_111, 4_112, 20_000] {
        let mut decryptor = Decryptor::new(&opener);
        let (mut plain, mut refused) = (Vec::new(), 0);
        while decryptor.position() < wide(CHUNKS[3]) {
            let source = if refused == 0 { &altered } else { &object };
            let at = usize::try_from(decryptor.position()).unwrap();
            let mut bytes = &source[at..CHUNKS[3].min(at + len)];
            loop {
                match decryptor.push(&mut bytes) {
                    Ok(Some(piece)) => plain.extend_from_slice(piece),
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!(error, DownloadError::Chunk { chunk: 1, error: ChunkError::Altered });
                        assert_eq!(decryptor.position(), wide(CHUNKS[1]));
                        refused += 1;
                        break;
                    }
                }
            }
            assert!(refused < 2, "slices of {len}");
        }
        assert!(decryptor.finish().is_ok() && refused == 1 && plain == file(LEN), "slices of {len}");
    }
}

/// What a sender commits to and what is no attachment: one reason, and nothing released.
#[test]
fn a_sender_cannot_commit_to_what_is_not_sealed_right() {
    let sender = Att1 { key: [1; 32], salt: [2; 16], log2: 12 };
    let honest = sender.chunks(&file(LEN));
    let open = |chunks: &[Vec<u8>]| {
        let reference = AttachmentRef::parse(&sender.reference(wide(LEN), chunks)).unwrap();
        let object = sender.object(chunks);
        let opener = opener(&reference, &object);
        for chunk in 0..3 {
            let stored = slice(&object, opener.layout().object_range(chunk..chunk + 1).unwrap());
            let mut in_place = stored.to_vec();
            let alike = opener.open_chunk_in_place(chunk, &mut in_place).map(<[u8]>::to_vec);
            assert_eq!(alike, opener.open_chunk(chunk, stored));
            if alike.is_err() {
                let plain = file(LEN);
                let plain = slice(&plain, opener.layout().plain_range(chunk..chunk + 1).unwrap());
                assert!(!in_place.windows(16).any(|window| window == &plain[..16]), "plaintext is left behind");
            }
        }
        decrypt(&reference, &object)
    };
    assert!(*open(&honest).unwrap() == file(LEN));
    let last = file(LEN)[8_192..].to_vec();
    let padded = |at: usize| {
        let mut text = last.clone();
        text.resize(2_048, 0);
        text[at] = 1;
        text
    };
    let cases: [(&str, u64, Vec<u8>); 7] = [
        ("the end is not sealed as the end", 2, sender.seal(2, false, &padded(0))),
        ("an end in the middle", 1, sender.seal(1, true, &file(LEN)[4_096..8_192])),
        ("sealed for another place", 1, sender.seal(0, false, &file(LEN)[..4_096])),
        ("garbage", 0, vec![9; 4_112]),
        ("another key", 0, Att1 { key: [3; 32], ..sender.clone() }.seal(0, false, &[0; 4_096])),
        ("first byte of the padding", 2, sender.seal(2, true, &padded(LEN - 8_192))),
        ("last byte of the padding", 2, sender.seal(2, true, &padded(2_047))),
    ];
    for (name, chunk, stored) in cases {
        let mut chunks = honest.clone();
        chunks[usize::try_from(chunk).unwrap()] = stored;
        assert_eq!(open(&chunks).unwrap_err(), forged_chunk(chunk), "{name}");
    }
}

/// Lengths that no file has are refused where they are first seen, without memory for them.
#[test]
fn hostile_lengths_are_refused() {
    let sender = Att1 { key: [1; 32], salt: [2; 16], log2: 12 };
    for plain_len in [LEN, 0, usize::MAX >> 1].map(wide).into_iter().chain([u64::MAX, 1 << 40, (1 << 40) + 1]) {
        for object_len in [0, 55, 56, 72, 104, 10_239, u64::MAX, u64::MAX - 47, 1 << 63] {
            if (plain_len, object_len) != (0, 104) {
                let parsed = AttachmentRef::parse(&sender.reference_with(plain_len, object_len, [0; 32]));
                assert_eq!(parsed.unwrap_err(), RefError::Lengths, "{plain_len} in {object_len}");
            }
        }
    }
    // Right for chunks of 64 KiB, and the header says 4 KiB.
    let chunks = sender.chunks(&file(LEN));
    let object_len = 56 + 10_240 + 48;
    let reference = AttachmentRef::parse(&sender.reference_with(wide(LEN), object_len, [0; 32])).unwrap();
    let header = CheckedHeader::new(&reference, &sender.object(&chunks)[..56]);
    assert_eq!(header.unwrap_err(), ObjectError::Length);
    // The longest file there is: only what it says it is gets reserved, and the list has to be there first.
    let largest = Att1 { log2: 20, ..sender };
    let object_len = 56 + (1u64 << 40) + (48 << 20);
    let reference = AttachmentRef::parse(&largest.reference_with(1 << 40, object_len, [0; 32])).unwrap();
    let header = CheckedHeader::new(&reference, &largest.header()).unwrap();
    assert_eq!(header.layout().list_range().end - header.layout().list_range().start, 32 << 20);
    assert_eq!(header.with_list(&[]).unwrap_err(), ObjectError::List);
    assert_eq!(decrypt(&reference, &[0; 200]), Err(DecryptObjectError::Length));
}

/// An empty last chunk would be a second way to say the same file.
#[test]
fn an_empty_last_chunk_is_refused() {
    let sender = Att1 { key: [1; 32], salt: [2; 16], log2: 12 };
    let chunks = [sender.seal(0, false, &file(4_096)), sender.seal(1, true, &[])];
    assert_eq!(AttachmentRef::parse(&sender.reference(4_096, &chunks)).unwrap_err(), RefError::Lengths);
    let whole = AttachmentRef::parse(&sender.reference(4_096, &chunks[..1])).unwrap();
    assert_eq!(decrypt(&whole, &sender.object(&chunks)), Err(DecryptObjectError::Length));
}

/// The root is over the header and the list as they are, and over nothing else.
#[test]
fn the_root_commits_to_header_and_list() {
    let (object, reference) = example();
    let list = object[CHUNKS[3]..].to_vec();
    assert_eq!(*reference.root(), sha256(&[b"\x09att1/root", &object[..56], &list].concat()));
    let header = || CheckedHeader::new(&reference, &object[..56]).unwrap();
    assert_eq!(header().layout().chunk_size(), size(12));
    for bit in 0..list.len() * 8 {
        let mut altered = list.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(header().with_list(&altered).unwrap_err(), ObjectError::List, "bit {bit}");
    }
}
