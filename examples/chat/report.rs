//! The verdict: what the two files and the relay's log say, against what the script says.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use crate::Failure;
use crate::client::plain;
use crate::script::{FROM_TABLET, NAMES, script};
use crate::store::{Line, Store};

/// The tablet receives at least so many lines while it is alice's.
const HEARD: usize = 20;
/// No so many bytes of any plaintext, in a row, may have passed the relay.
const WINDOW: usize = 12;
/// Lines that are shown at each kill.
const EXCERPT: usize = 3;

/// What happened besides talking.
pub(crate) struct Happened {
    pub(crate) kills: Vec<Kill>,
    /// What the tablet received, if there was one.
    pub(crate) heard: Option<Vec<String>>,
}

/// What was found when bob was killed.
pub(crate) struct Kill {
    /// Lines in his file.
    pub(crate) lines: usize,
    /// Ciphertexts in his outbox.
    pub(crate) unconfirmed: usize,
    /// Messages that the relay kept until he was back.
    pub(crate) waiting: u64,
}

/// What one of them has in the file.
struct Side {
    name: &'static str,
    store: Store,
    lines: Vec<Line>,
}

impl Side {
    fn open(folder: &Path, name: &'static str) -> Result<Self, Failure> {
        let store = Store::open(&folder.join(format!("{name}.sqlite")))?;
        Ok(Self { name, lines: store.lines()?, store })
    }

    fn texts(&self, mine: bool) -> Vec<&str> {
        self.lines.iter().filter(|line| line.mine == mine).map(|line| line.text.as_str()).collect()
    }
}

/// Prints what was measured and what was found; an error says all that is wrong.
pub(crate) fn report(folder: &Path, log: &Path, happened: &Happened, took: Duration) -> Result<(), Failure> {
    let sides = [Side::open(folder, NAMES[0])?, Side::open(folder, NAMES[1])?];
    let [alice, bob] = &sides;
    let Happened { kills, heard } = happened;
    let log = std::fs::read(log)?;
    let mut wrong = Vec::new();
    println!("\nmeasured");
    summary(alice, bob, heard.as_ref().map(|_| FROM_TABLET), &mut wrong)?;
    summary(bob, alice, None, &mut wrong)?;
    if let Some(heard) = heard {
        second_device(heard, &mut wrong);
    }
    let all: Vec<&Line> = sides.iter().flat_map(|side| &side.lines).collect();
    costs(&all);
    for kill in kills {
        if kill.lines >= bob.lines.len() {
            wrong.push("bob had nothing left to say when he was killed".into());
        }
    }
    secrecy(&all, &log, &mut wrong);
    println!("  took {:.1} s", took.as_secs_f64());
    if wrong.is_empty() {
        let (texts, sum) = (script().len(), |of: fn(&Kill) -> u64| kills.iter().map(of).sum::<u64>());
        let (unconfirmed, waiting) = (sum(|kill| kill.unconfirmed as u64), sum(|kill| kill.waiting));
        println!("\nEach of {texts} messages arrived, and none twice, though some were held back and came late.");
        println!(
            "bob was killed {} times and went on from his file: {unconfirmed} messages of his were posted again, and {waiting} had waited for him.",
            kills.len()
        );
        println!("The relay saw {} kB pass, and no piece of any text.", log.len() / 1000);
        Ok(())
    } else {
        Err(wrong.join("\n").into())
    }
}

/// The last lines of bob's file.
pub(crate) fn excerpt(lines: &[Line]) {
    for line in lines.iter().skip(lines.len().saturating_sub(EXCERPT)) {
        let (author, text) = (if line.mine { NAMES[1] } else { &line.peer }, plain(&line.text));
        let (_, said) = text.split_once(' ').unwrap_or(("", &text));
        println!("    {author:>5} │ {}", said.chars().take(70).collect::<String>());
    }
}

/// Whether the tablet received all that bob wrote from one line to another, in its order, and nothing else.
fn second_device(heard: &[String], wrong: &mut Vec<String>) {
    let script = script();
    let written = script.iter().filter(|line| line.author == NAMES[1]).map(|line| &line.text);
    let since: Vec<_> = written.skip_while(|text| Some(*text) != heard.first()).take(heard.len()).collect();
    println!("  bob -> alice's tablet: {} received while it was hers, every one since it was linked", heard.len());
    if heard.len() < HEARD || !since.into_iter().eq(heard) {
        wrong.push("alice's tablet did not receive what bob wrote, once each and in its order".into());
    }
}

/// What `to` has received of `from`, and what state it is in. `besides` was written on another device of hers.
fn summary(from: &Side, to: &Side, besides: Option<&str>, wrong: &mut Vec<String>) -> Result<(), Failure> {
    let script = script();
    let written: Vec<&str> = script.iter().filter(|line| line.author == from.name).map(|line| &*line.text).collect();
    let (sent, received) = (from.texts(true), to.texts(false));
    if sent != written {
        wrong.push(format!("{} did not send what the script says, once each and in its order", from.name));
    }
    let mut times: HashMap<&str, usize> = HashMap::new();
    received.iter().for_each(|text| *times.entry(text).or_default() += 1);
    for text in written.iter().copied().chain(besides) {
        match times.remove(text) {
            Some(1) => {}
            found => wrong.push(format!("{} received {} times: {text}", to.name, found.unwrap_or(0))),
        }
    }
    wrong.extend(times.keys().map(|text| format!("{} received what nobody wrote: {text}", to.name)));
    if to.lines.iter().any(|line| line.peer != from.name) {
        wrong.push(format!("{} has lines of somebody else", to.name));
    }

    // A message is late when a later one was there before it.
    let place: HashMap<&str, usize> = written.iter().enumerate().map(|(at, text)| (*text, at)).collect();
    let (mut newest, mut late) = (0, 0);
    for at in received.iter().filter_map(|text| place.get(text)) {
        late += usize::from(*at < newest);
        newest = newest.max(*at);
    }
    let (duplicates, refused) = (to.store.tally("duplicates")?, to.store.tally("refused")?);
    let again = from.store.tally("posted again")?;
    let rows = to.store.rows()?;
    let burst = from.lines.split(|line| !line.mine).map(<[Line]>::len).max().unwrap_or(0);
    println!(
        "  {} -> {}: {} sent, up to {burst} in a row, {} received, {late} of them late",
        from.name,
        to.name,
        sent.len(),
        received.len()
    );
    println!("    posted again after a kill {again}, duplicates dropped {duplicates}, refused {refused}");
    println!(
        "    {}'s records: {} of {} kB, sealed; the one that every message changes {} bytes, sessions archived {}",
        to.name,
        rows.records,
        rows.bytes / 1000,
        rows.peer_bytes,
        rows.archived
    );
    if refused > 0 {
        wrong.push(format!("{} could not read {refused} messages", to.name));
    }
    if late == 0 || duplicates == 0 {
        wrong.push(format!("nothing came late to {}, or nothing twice", to.name));
    }
    Ok(())
}

/// Bytes and time for a message.
fn costs(lines: &[&Line]) {
    for (kind, first) in [("ordinary messages", false), ("first messages", true)] {
        let mean = |mine: bool, value: fn(&Line) -> f64| {
            let values: Vec<f64> =
                lines.iter().filter(|line| line.mine == mine && line.first == first).map(|line| value(line)).collect();
            (values.len(), values.iter().sum::<f64>() / values.len() as f64)
        };
        let (count, beyond) = mean(true, |line| f64::from(line.wire_len) - line.text.len() as f64);
        let ((_, send), (_, receive)) = (mean(true, |line| line.micros), mean(false, |line| line.micros));
        println!(
            "  {count} {kind}: {beyond:.0} bytes beyond the text; staged, rows and all: send {send:.0} µs, receive {receive:.0} µs"
        );
    }
}

/// Looks for every piece of every text in everything that passed the relay.
fn secrecy(lines: &[&Line], log: &[u8], wrong: &mut Vec<String>) {
    let pieces: HashSet<&[u8]> = lines.iter().flat_map(|line| line.text.as_bytes().windows(WINDOW)).collect();
    let found = log.windows(WINDOW).filter(|window| pieces.contains(window)).count();
    let posted: usize = lines.iter().filter(|line| line.mine).map(|line| line.wire_len as usize).sum();
    let seen = log.get(log.len() / 2..).unwrap_or_default().iter().take(24);
    println!("  what the relay saw, for instance: {}", seen.map(|byte| format!("{byte:02x}")).collect::<String>());
    println!("    its log: {} kB, {} pieces of plaintext looked for, {found} found", log.len() / 1000, pieces.len());
    if found > 0 || log.len() < posted {
        wrong.push("the relay saw plaintext, or its log is not complete".into());
    }
}
