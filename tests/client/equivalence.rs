//! Client gives the verdicts of a bare session: the same schedule through two clients and through two bare sessions.

use rand_core::Rng;
use subrosa::client::{ReceiveError, Received};
use subrosa::session::{AcceptError, Ciphertext, DecryptError};
use subrosa::suite::Suite;
use subrosa::wire::Envelope;

use super::side::{Side, address, rng};
use super::support::{Party, Refusal};

/// What became of a delivery.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Read(Vec<u8>),
    Duplicate,
    Unreadable(AcceptError),
    Refused,
}

struct Pair {
    sides: [Side; 2],
    parties: [Party; 2],
    network: Vec<(usize, Envelope, Ciphertext)>,
}

const NAMES: [&str; 2] = ["alice", "bob"];

impl Pair {
    fn new(suite: Suite, seed: u64) -> Self {
        let parties = [0, 1].map(|at| Party::of_suite(suite, NAMES[at], seed + u64::try_from(at).unwrap()));
        let sides = [0, 1].map(|at| Side::new(NAMES[at], suite, seed + 7 + u64::try_from(at).unwrap()));
        Self { sides, parties, network: Vec::new() }
    }

    /// A new session, whether or not there is one.
    fn start(&mut self, by: usize) {
        let bundle = self.parties[1 - by].bundle(true);
        self.parties[by].initiate(&bundle);
        let bundle = self.sides[1 - by].bundle_with(false);
        let (side, peer) = (&mut self.sides[by], address(NAMES[1 - by]));
        let _unknown = side.run(side.client.reset(&peer));
        let added = side.run(side.client.add_session(&bundle)).unwrap();
        assert!(added.started);
        // Bare session knows no request for repair; it takes a place in the new session.
        for _ in &added.repair {
            self.parties[by].send(b"stands for the request");
        }
    }

    fn send(&mut self, by: usize, text: &[u8]) {
        if self.parties[by].session.as_ref().is_none_or(|session| !session.has_current()) {
            return;
        }
        let (envelope, message) = (self.sides[by].send(NAMES[1 - by], text), self.parties[by].send(text));
        assert_eq!(message.is_first(), envelope.kind == subrosa::wire::EnvelopeKind::First);
        self.network.push((1 - by, envelope, message));
    }

    fn deliver(&mut self, at: usize, keep: bool) {
        let (to, envelope, message) = if keep { self.network[at].clone() } else { self.network.remove(at) };
        let two = match self.sides[to].receive(&envelope) {
            Ok(Received::Message(message)) => Verdict::Read(message.plaintext().unwrap().to_vec()),
            Ok(Received::Unreadable(unreadable)) => Verdict::Unreadable(unreadable.reason),
            Err(ReceiveError::Duplicate) => Verdict::Duplicate,
            Err(ReceiveError::NotAuthentic) => Verdict::Refused,
            other => panic!("{other:?}"),
        };
        let one = match self.parties[to].receive(&address(NAMES[1 - to]), &message) {
            Ok(text) => Verdict::Read(text),
            Err(
                Refusal::Decrypt(DecryptError::Duplicate)
                | Refusal::Accept(AcceptError::Message(DecryptError::Duplicate)),
            ) => Verdict::Duplicate,
            Err(Refusal::Decrypt(error)) => Verdict::Unreadable(error.into()),
            Err(Refusal::Accept(error)) if error.asks_for_repair() => Verdict::Unreadable(error),
            Err(Refusal::Accept(_)) => Verdict::Refused,
            Err(Refusal::Wire(error)) => panic!("{error}"),
        };
        // Prekeys have other ids in the two.
        let same = match (&one, &two) {
            (
                Verdict::Unreadable(AcceptError::UnknownPrekey(one, _)),
                Verdict::Unreadable(AcceptError::UnknownPrekey(two, _)),
            ) => one == two,
            (one, two) => one == two,
        };
        assert!(same, "a bare session says {one:?}, a client {two:?}");
    }
}

#[test]
fn a_client_gives_the_verdicts_of_a_bare_session() {
    let (mut read, mut unread) = (0, 0);
    for seed in 0..60 {
        let suite = if seed % 3 == 0 { Suite::Signal } else { Suite::V1 };
        let mut pair = Pair::new(suite, seed * 100);
        let mut rng = rng(seed);
        let mut below = |bound: usize| usize::try_from(rng.next_u64() % u64::try_from(bound).unwrap()).unwrap();
        pair.start(0);
        for step in 0..120_u8 {
            match below(40) {
                0 => pair.start(below(2)),
                1..17 => pair.send(below(2), &[step; 9]),
                17..20 if !pair.network.is_empty() => {
                    pair.network.remove(below(pair.network.len()));
                    unread += 1;
                }
                _ if pair.network.is_empty() => {}
                20..24 => pair.deliver(below(pair.network.len()), true),
                24..36 => {
                    read += 1;
                    pair.deliver(below(pair.network.len().min(3)), false);
                }
                _ => pair.deliver(below(pair.network.len()), false),
            }
        }
    }
    assert!(read > 500 && unread > 100, "{read} {unread}");
}
