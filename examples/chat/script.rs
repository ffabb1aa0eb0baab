//! Who says what in the demonstration, and after what: the same for every process that asks.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Who talks.
pub(crate) const NAMES: [&str; 2] = ["alice", "bob"];
/// What alice writes on her second device.
pub(crate) const FROM_TABLET: &str = "alice, on her tablet: the letters are larger here";
/// So many messages each sends before it reads any: both start a session at the same time.
pub(crate) const OPENING: usize = 3;
/// The longest burst one way.
const LONGEST_BURST: usize = 40;

const TOTAL: usize = 420;
/// So many of the other's messages may be under way when one answers. More than are ever withheld.
const SLACK: usize = 16;

/// A message of the script.
pub(crate) struct Scripted {
    pub(crate) author: &'static str,
    pub(crate) text: String,
    /// It is sent when so many messages have been received.
    after: usize,
}

/// The whole script.
pub(crate) fn script() -> Vec<Scripted> {
    let mut rng = ChaCha8Rng::seed_from_u64(2026);
    let mut written = [0_usize; 2];
    let mut lines = Vec::new();
    for turn in 0.. {
        let (burst, slack) = match turn {
            0 | 1 => (OPENING, usize::MAX),
            2..14 => (1, 0),
            14 => (LONGEST_BURST, SLACK),
            _ => (pick(&mut rng, &[1, 1, 2, 3, 5, 8, 13, 21, LONGEST_BURST]), SLACK),
        };
        let (author, [mine, theirs]) = match (turn % 2, &mut written) {
            (0, [alice, bob]) => (NAMES[0], [alice, bob]),
            (_, [alice, bob]) => (NAMES[1], [bob, alice]),
        };
        for _ in 0..burst.min(TOTAL - lines.len()) {
            *mine += 1;
            let text = format!("{author} #{mine}: {}", sentence(&mut rng));
            lines.push(Scripted { author, text, after: theirs.saturating_sub(slack) });
        }
        if lines.len() == TOTAL {
            break;
        }
    }
    lines
}

/// What `name` sends next, if it is time for it: its place in the script is what it has sent.
pub(crate) fn due<'a>(script: &'a [Scripted], name: &str, sent: usize, received: usize) -> Option<&'a str> {
    let next = script.iter().filter(|line| line.author == name).nth(sent)?;
    (received >= next.after).then_some(&next.text)
}

fn sentence(rng: &mut ChaCha8Rng) -> String {
    let what = pick(rng, &["the ferry", "your parcel", "the last train", "the café", "our table", "Grandmother 🌻"]);
    let does = pick(rng, &["leaves", "arrives", "closes", "waits for us", "is late again", "is expected"]);
    let place = pick(rng, &["at the pier", "in Łódź", "behind the market", "on platform nine", "by the old bridge"]);
    let (hour, minute) = (rng.next_u32() % 24, rng.next_u32() % 60);
    let sentence = format!("{what} {does} {place}, {hour:02}:{minute:02}");
    // Now and then somebody has a lot to say.
    if rng.next_u32().is_multiple_of(20) { vec![sentence; 20].join("; ") } else { sentence }
}

fn pick<T: Copy + Default>(rng: &mut ChaCha8Rng, choice: &[T]) -> T {
    choice.get(rng.next_u32() as usize % choice.len()).copied().unwrap_or_default()
}
