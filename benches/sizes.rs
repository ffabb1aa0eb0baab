//! Sizes in bytes: what is stored, what travels. Nothing here is timed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a bench fails by panicking")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench reads its arguments")]
#![allow(clippy::print_stdout, reason = "a bench reports")]

mod support;

use subrosa::session::Session;
use subrosa::suite::{Suite, Suites};
use support::device::{PEER, SENT, SKIPPED_KEYS, SKIPPED_PAGE, Stored, talking};
use support::olm::{self, Olm};
use support::pair::{self, CHEAPEST, DEAREST, NOW, PLAINTEXT, Pair, rng};
use support::table::Table;

const SUITES: [(Suite, Suites); 2] = [(Suite::V1, Suites::V1), (Suite::Signal, Suites::SIGNAL)];
/// Skipped message keys.
const KEYS: [usize; 4] = [0, 100, 1_000, 2_000];

/// The shortest and the longest of the lengths that a ping-pong through two epochs gives.
fn range(lengths: &[usize]) -> String {
    let (least, most) = (lengths.iter().min().unwrap(), lengths.iter().max().unwrap());
    if least == most { least.to_string() } else { format!("{least} to {most}") }
}

fn session_records() {
    let columns = ["session record", "steady, through two epochs", "100 keys", "1,000 keys", "2,000 keys"];
    let mut table = Table::new("Bare session: the whole session in one record", columns);
    for (suite, _) in SUITES {
        let (pair, random) = (Pair::new(suite), &mut rng(1));
        let (mut alice, mut bob) = pair.converse(20, random);
        let mut steady = Vec::new();
        pair::through_epochs((&mut alice, &mut bob), 2, random, |from, to, random| {
            pair::pass(from, to, random);
            steady.extend([from.to_bytes().len(), to.to_bytes().len()]);
        });
        let with = KEYS.map(|keys| {
            let (mut alice, mut bob) = pair.one_sided(DEAREST, random);
            (0..keys).for_each(|_| drop(pair::encrypt(&mut alice, random)));
            pair::pass(&mut alice, &mut bob, random);
            bob.to_bytes().len().to_string()
        });
        table.row([&format!("{suite:?}"), &range(&steady), &with[1], &with[2], &with[3]]);
    }
    let (alice, _) = Olm::new().converse(20);
    let pickle = alice.pickle().encrypt(&[0; 32]).len();
    table.row(["vodozemac, its encrypted pickle in Base64", &pickle.to_string(), "–", "–", "–"]);
    table.print();
}

fn rows() {
    let columns = ["row, sealed", "suite", "0 skipped message keys", "100", "1,000", "2,000"];
    let mut table = Table::new("Client: rows of one peer device", columns);
    for (suite, suites) in SUITES {
        let parties = KEYS.map(|keys| talking(suites, Stored { sent: 2_000, kept: keys, ..Stored::NOTHING }).1);
        for (name, kind) in [
            ("Peer", PEER),
            ("SkippedKeys", SKIPPED_KEYS),
            ("SkippedPage", SKIPPED_PAGE),
            ("Sent: eight messages", SENT),
        ] {
            let cells = parties.each_ref().map(|party| {
                let lengths = party.db.lengths(kind);
                if lengths.is_empty() { "–".to_owned() } else { range(&lengths) }
            });
            table.row([name, &format!("{suite:?}"), &cells[0], &cells[1], &cells[2], &cells[3]]);
        }
    }
    table.print();
}

fn messages() {
    let columns =
        ["message over its plaintext", "with a chunk, 1 KiB", "100 B", "without, 1 KiB", "100 B", "ping-pong, 1 KiB"];
    let mut table = Table::new("On the wire", columns);
    let over = |session: &mut Session, text: &[u8]| {
        (session.encrypt(text, NOW, &mut rng(3)).unwrap().bytes().len() - text.len()).to_string()
    };
    for (suite, _) in SUITES {
        let (pair, random) = (Pair::new(suite), &mut rng(2));
        let [with, without] = [DEAREST, CHEAPEST].map(|state| {
            let (mut alice, _) = pair.one_sided(state, random);
            [over(&mut alice, &PLAINTEXT), over(&mut alice, &[0x5a; 100])]
        });
        let (mut alice, mut bob) = pair.converse(20, random);
        let mut lengths = Vec::new();
        pair::through_epochs((&mut alice, &mut bob), 2, random, |from, to, random| {
            let message = pair::encrypt(from, random);
            lengths.push(message.bytes().len() - PLAINTEXT.len());
            pair::decrypt(to, message.bytes(), random);
        });
        let name = format!("{suite:?}");
        table.row([&name, &with[0], &with[1], &without[0], &without[1], &range(&lengths)]);
    }
    let (mut alice, _) = Olm::new().converse(20);
    let over = |len: usize| (alice.encrypt(vec![0x5a; len]).unwrap().to_parts().1.len() - len).to_string();
    let [long, short] = [1_024, 100].map(over);
    table.row(["vodozemac", "–", "–", &long, &short, &long]);
    table.print();
    println!("\nSuite V1 pads: 1,024 bytes to 1,088, 100 bytes to 160; that is part of these figures.");
}

/// What the client gives to post, with its padding and without: the least that any length costs has one byte of it.
fn envelopes() {
    let columns = ["envelope over its plaintext", "4 KiB", "without padding", "1 KiB", "without", "100 B", "without"];
    let mut table = Table::new("The envelope", columns);
    for (suite, suites) in SUITES {
        // Each of these carries a chunk of the post-quantum ratchet's, as most messages do.
        let (mut alice, bob) = talking(suites, Stored::NOTHING);
        let to = bob.address();
        let mut over = |len: usize| alice.send_text(&to, &vec![0x5a; len]).to_bytes().len() - len;
        let cells = [4_096, 1_024, 100].map(|len: usize| {
            let least = (len..=len + len / 8 + 64).map(&mut over).min().unwrap();
            [over(len), least - 1].map(|bytes| bytes.to_string())
        });
        let [[long, bare_long], [middle, bare_middle], [short, bare_short]] = &cells;
        table.row([&format!("{suite:?}"), long, bare_long, middle, bare_middle, short, bare_short]);
    }
    table.print();
}

fn starts() {
    let mut table = Table::new("The start of a session", ["", "bundle", "first message over its plaintext, 1 KiB"]);
    for (suite, _) in SUITES {
        let (pair, random) = (Pair::new(suite), &mut rng(4));
        let first = pair::encrypt(&mut pair.initiate(&pair.bundle(), random), random);
        let over = (first.bytes().len() - PLAINTEXT.len()).to_string();
        table.row([&format!("{suite:?}"), &pair.published.len().to_string(), &over]);
    }
    let first = olm::encrypt(&mut Olm::new().initiate());
    table.row(["vodozemac", "–", &(first.1.len() - PLAINTEXT.len()).to_string()]);
    table.print();
}

fn main() {
    session_records();
    rows();
    messages();
    envelopes();
    starts();
}
