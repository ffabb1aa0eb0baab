//! The committed fuzz corpora, replayed through the bodies of the fuzz targets; crashes that were found stay here.
//!
//! `SUBROSA_REGENERATE=1 cargo test --test corpus` writes the seeds anew.

#![allow(clippy::disallowed_methods, reason = "a test reads files and its environment")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

#[allow(unreachable_pub, reason = "a crate of its own elsewhere")]
#[path = "../fuzz/src/lib.rs"]
mod bodies;

use std::fs;
use std::path::Path;

use bodies::{pair, stages};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use subrosa::crypto::Secret;
use subrosa::ident::{MessageId, MessageName, PrekeyId};
use subrosa::platform::PrekeyStore;
use subrosa::prekey::{KemPrekey, PrekeyUpload, PrekeyUploadId};
use subrosa::session::Ciphertext;
use subrosa::suite::Suite;
use subrosa::wire::{
    CHUNK_LEN, Chunk, Content, Envelope, EnvelopeKind, EnvelopeSuite, GroupView, Payload, RosterView, SpqrMessage,
    SpqrPayload, UnknownPayload,
};

/// Name of a target, its body, its seeds.
type Target = (&'static str, fn(&[u8]) -> bool, fn() -> Vec<Vec<u8>>);

/// Those that need the feature `testing` are tried with it.
#[cfg(feature = "testing")]
const MORE: &[Target] = &[("client", bodies::client, bodies::client_seeds)];
#[cfg(not(feature = "testing"))]
const MORE: &[Target] = &[];

const TARGETS: [Target; 20] = [
    ("attachment", bodies::attachment, bodies::attachment_seeds),
    ("liar", bodies::liar, lies),
    ("bundle", bodies::bundle, bundles),
    ("prekey_upload", bodies::prekey_upload, uploads),
    ("prekey_store", bodies::prekey_store, prekey_stores),
    ("first_message", bodies::first_message, first_messages),
    ("message", bodies::message, messages),
    ("spqr_message", bodies::spqr_message, spqr_messages),
    ("session_bytes", bodies::session_bytes, sessions),
    ("prekey_bytes", bodies::prekey_bytes, prekeys),
    ("envelope", bodies::envelope, envelopes),
    ("payload", bodies::payload, payloads),
    ("contents", bodies::contents, bodies::contents_seeds),
    ("roster", bodies::roster, bodies::roster_seeds),
    ("carried_roster", bodies::carried_roster, bodies::carried_roster_seeds),
    ("account_bytes", bodies::account_bytes, bodies::account_bytes_seeds),
    ("link", bodies::link, bodies::link_seeds),
    ("interaction", bodies::interaction, interactions),
    ("report", bodies::report, reports),
    ("report_header", bodies::report_header, report_headers),
];

#[test]
fn corpora_are_replayed() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, body, seeds) in TARGETS.iter().chain(MORE) {
        let folder = corpora.join(name);
        if std::env::var_os("SUBROSA_REGENERATE").is_some() {
            fs::create_dir_all(&folder).unwrap();
            for (number, seed) in seeds().iter().enumerate() {
                fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
            }
        }
        let mut accepted = 0;
        let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in &files {
            // Shown only if the body panics.
            println!("{}", file.display());
            accepted += usize::from(body(&fs::read(file).unwrap()));
        }
        assert!(accepted > 0, "{name}: none of {} inputs is accepted", files.len());
    }
}

/// What the fuzzer does for longer: both suites, drawn from seeds.
#[test]
fn interactions_by_chance() {
    for seed in 0..60 {
        let mut script = [0; 160];
        ChaCha20Rng::seed_from_u64(seed).fill_bytes(&mut script);
        // Shown only if the body panics.
        println!("seed {seed}");
        bodies::interaction(&script);
    }
}

#[test]
fn every_target_has_a_replayed_corpus() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/targets");
    let names = fs::read_dir(targets).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<_> = names.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    let mut replayed: Vec<_> = TARGETS.iter().map(|(name, ..)| *name).chain(["client"]).collect();
    replayed.sort_unstable();
    assert_eq!(names, replayed);
}

const SUITES: [Suite; 2] = [Suite::Signal, Suite::V1];

/// With and without a one-time prekey; of another party's signature; cut.
fn bundles() -> Vec<Vec<u8>> {
    let of_suite = |suite| {
        let [a, b] = pair(suite);
        let whole = a.device.bundle(&a.signed, &a.kem, a.one_time.first()).to_bytes();
        [
            a.device.bundle(&a.signed, &a.kem, None).to_bytes(),
            b.device.bundle(&a.signed, &a.kem, None).to_bytes(),
            whole[..whole.len() / 2].to_vec(),
            whole,
        ]
    };
    SUITES.into_iter().flat_map(of_suite).collect()
}

/// With one-time prekeys of both kinds and without, of another party's signature, replacing.
fn some_uploads() -> Vec<PrekeyUpload> {
    let of_suite = |suite| {
        let ([a, b], mut rng) = (pair(suite), ChaCha20Rng::seed_from_u64(9));
        let now = bodies::NOW;
        let last_resort = KemPrekey::last_resort(&a.device, suite, PrekeyId::new(9), now, &mut rng);
        let plain = a.device.upload(PrekeyUploadId::new([1; 16]), &a.signed, &last_resort);
        let mut full = a.device.upload(PrekeyUploadId::new([2; 16]), &a.signed, &last_resort);
        full.replaces_one_time = true;
        full.one_time = a.one_time.iter().take(2).map(|prekey| (prekey.id(), *prekey.public_key())).collect();
        full.one_time_kem = vec![KemPrekey::one_time(&a.device, suite, PrekeyId::new(10), now, &mut rng).published()];
        let forged = b.device.upload(PrekeyUploadId::new([3; 16]), &a.signed, &last_resort);
        [plain, full, forged]
    };
    SUITES.into_iter().flat_map(of_suite).collect()
}

fn uploads() -> Vec<Vec<u8>> {
    some_uploads().iter().map(PrekeyUpload::to_bytes).collect()
}

fn prekey_stores() -> Vec<Vec<u8>> {
    let prekey_store = |upload: PrekeyUpload| {
        let mut prekey_store = PrekeyStore::new(upload.address.clone(), upload.suite);
        let _ = prekey_store.apply(&upload);
        prekey_store.to_bytes()
    };
    some_uploads().into_iter().map(prekey_store).collect()
}

/// Of the kind asked for, as they are under way to a party in the middle of a conversation.
fn under_way(first: bool) -> Vec<Vec<u8>> {
    let sent = SUITES.into_iter().flat_map(|suite| stages(suite).1).filter(|sent| sent.is_first() == first);
    sent.map(Ciphertext::into_bytes).collect()
}

fn first_messages() -> Vec<Vec<u8>> {
    under_way(true)
}

fn messages() -> Vec<Vec<u8>> {
    let mut inputs = under_way(false);
    inputs.push(vec![0x44; 40]);
    inputs
}

fn envelopes() -> Vec<Vec<u8>> {
    let [a, b] = pair(Suite::V1);
    let whole = Envelope {
        kind: EnvelopeKind::Message,
        suite: EnvelopeSuite::V1,
        from: Some(a.device.address().clone()),
        to: b.device.address().clone(),
        id: [7; 16],
        body: vec![0xa1; 20],
        commitment: Some([8; 32]),
        stamp: Some(vec![9; 40]),
    };
    let sealed = Envelope { kind: EnvelopeKind::Sealed, from: None, commitment: None, stamp: None, ..whole.clone() };
    vec![whole.to_bytes(), sealed.to_bytes()]
}

fn payloads() -> Vec<Vec<u8>> {
    let contents = [
        Content::App(vec![1; 30]),
        Content::Receipt(vec![]),
        Content::Unknown(UnknownPayload::new(99, vec![2]).unwrap()),
    ];
    let mut payloads: Vec<_> = contents.map(|content| Payload::new(content).to_bytes()).to_vec();
    let full = Payload {
        own: Some(RosterView { version: 7, hash: [9; 16] }),
        peer: Some(RosterView { version: 0, hash: [0; 16] }),
        roster: Some(vec![3; 40]),
        message_id: Some(MessageId::new([4; 16])),
        sent: Some(bodies::NOW),
        access: Some(Secret::new([6; 32])),
        holds: Some([7; 8]),
        group: Some(GroupView { group: Some([8; 32]), epoch: 3, head: [1; 32] }),
        answers: Some(MessageName::new([3; 32])),
        content: Content::App(vec![4; 5]),
    };
    let whole = full.to_bytes();
    // A field that a later version adds, and views as they were before there were rosters.
    let end = whole.len() - 8;
    payloads.push([&whole[..end], &[0x52, 1, 7], &whole[end..]].concat());
    payloads.push([[0x0a, 12, 8, 1, 0x12, 8].as_slice(), &[9; 8], &[0x82, 1, 1, 7]].concat());
    payloads.push(whole);
    payloads
}

/// Whole, of one message, edited, cut.
fn reports() -> Vec<Vec<u8>> {
    let whole = &bodies::report_fixture().report;
    let edits = [vec![255], vec![255, 40, 0, 1], vec![255, 200, 1, 7, 3, 2, 255], vec![255, 3, 0, 1, 90, 3, 128]];
    [whole.clone(), whole[..whole.len() / 2].to_vec(), vec![8, 1, 24, 0, 34, 0]].into_iter().chain(edits).collect()
}

fn report_headers() -> Vec<Vec<u8>> {
    let fixture = bodies::report_fixture();
    // A stamp that nobody gave.
    let stamp = [&[1, 0, 0, 0, 7, 0, 1][..], &[9; 112]].concat();
    let sealed = [&[1, 0, 0, 0, 7, 1, 0][..], &[9; 112]].concat();
    fixture.headers[..2].iter().chain(&fixture.stored).cloned().chain([stamp, sealed]).collect()
}

/// Every kind, small and large numbers.
fn spqr_messages() -> Vec<Vec<u8>> {
    let chunk = |index| Chunk { index, data: [0xa5; CHUNK_LEN] };
    let payloads = [
        SpqrPayload::None,
        SpqrPayload::Hdr(chunk(0)),
        SpqrPayload::Ek(chunk(127)),
        SpqrPayload::EkCt1Ack(chunk(128)),
        SpqrPayload::Ct1Ack,
        SpqrPayload::Ct1(chunk(30)),
        SpqrPayload::Ct2(chunk(u16::MAX)),
    ];
    let numbers = [(1, 1), (2, 300), (u64::MAX, u32::MAX)];
    let messages = payloads.into_iter().enumerate().map(|(at, payload)| {
        let (epoch, index) = numbers[at % numbers.len()];
        SpqrMessage { epoch, index, payload }.to_bytes()
    });
    messages.collect()
}

/// Whole ones, and edits of some of them.
fn sessions() -> Vec<Vec<u8>> {
    let edits = [vec![255, 3, 0, 1, 1], vec![255, 7, 200, 1, 255, 16, 2, 1], vec![255, 128 + 5, 0, 1, 1]];
    SUITES.into_iter().flat_map(|suite| stages(suite).0).chain(edits).collect()
}

/// Honest turns with a lie between them: one edit of the stored copy, at several places.
fn lies() -> Vec<Vec<u8>> {
    let of_suite = |suite: u8| {
        (0..6u8).map(move |seed| {
            let mut input = vec![suite];
            for step in 0..12u8 {
                input.extend([0, 1, 2, seed.wrapping_mul(41).wrapping_add(step.wrapping_mul(23)), seed, 1 + step]);
            }
            input
        })
    };
    of_suite(0).chain(of_suite(1)).collect()
}

fn prekeys() -> Vec<Vec<u8>> {
    let [mut a, mut b] = pair(Suite::V1);
    let mut rng = ChaCha20Rng::seed_from_u64(0);
    let now = subrosa::ident::Timestamp::new(1_800_000_000_000);
    a.start(&b.bundle(false), now, &mut rng);
    let first = a.send(b"hello", now, &mut rng);
    b.receive(a.device.address(), first.bytes(), true, now, &mut rng).unwrap();
    vec![
        a.device.to_bytes().to_vec(),
        a.signed.to_bytes().to_vec(),
        a.one_time[0].to_bytes().to_vec(),
        a.kem.to_bytes().to_vec(),
        b.seen.to_bytes(),
        a.seen.to_bytes(),
    ]
}

/// The suite, then pairs of operation and argument, see the body.
fn interactions() -> Vec<Vec<u8>> {
    const SEND: u8 = 0;
    const NEXT: u8 = 4;
    const PICK: u8 = 8;
    const LOSE: u8 = 10;
    const FLIP: u8 = 12;
    const RELOAD: u8 = 14;
    const START: u8 = 16;
    const PING_PONG: u8 = 18;
    const OTHER: u8 = 20;
    const BURST: u8 = 22;
    const B: u8 = 1;
    let scripts = [
        // Both start at once; both read.
        vec![SEND, 1, SEND | B, 2, NEXT, 0, NEXT | B, 0, SEND, 3, SEND | B, 4, NEXT, 0, NEXT | B, 0],
        // Long enough for the post-quantum ratchet to turn, stored and loaded in between.
        [[PING_PONG, 31, RELOAD, 0, PING_PONG, 30, RELOAD | B, 0].as_slice(); 10].concat(),
        // Out of order, lost, repeated, altered.
        vec![
            SEND,
            1,
            BURST,
            20,
            PICK | B,
            15,
            PICK | B,
            3,
            PICK | B,
            3,
            LOSE | B,
            4,
            FLIP | B,
            5,
            77,
            0,
            NEXT | B,
            0,
            PING_PONG | B,
            9,
            FLIP,
            0,
            200,
            0,
            OTHER | B,
            1,
            PICK | B,
            6,
            RELOAD | B,
            0,
            PICK | B,
            0,
        ],
        // A message of a chain that is four chains old.
        vec![
            SEND,
            0,
            NEXT | B,
            0,
            SEND | B,
            0,
            NEXT,
            0,
            BURST,
            4,
            LOSE | B,
            1,
            LOSE | B,
            2,
            LOSE | B,
            3,
            PICK | B,
            4,
            PING_PONG | B,
            8,
            PICK | B,
            2,
        ],
        // Sessions started again and again, one archived by hand.
        vec![
            SEND,
            0,
            NEXT | B,
            0,
            START,
            0,
            SEND,
            1,
            START | B,
            1,
            SEND | B,
            1,
            NEXT,
            0,
            NEXT | B,
            0,
            OTHER,
            0,
            SEND,
            1,
            NEXT | B,
            0,
            PING_PONG,
            12,
            START | B,
            0,
            BURST | B,
            5,
            PICK,
            4,
            RELOAD,
            0,
            PING_PONG,
            20,
        ],
    ];
    (0..2).flat_map(|suite| scripts.iter().map(move |script| [&[suite], script.as_slice()].concat())).collect()
}
