//! Devices, a bad server, crashes, sleep, wrong clocks, new accounts and restored backups, all from one number: what the
//! library promises is asserted after every run.
//!
//! Owns: [`run`] and [`recover`], what they assert ([`Broken`]), what may become of a message ([`End`]) and what must not
//! ([`Loss`]), and the defects of hosts that they have to find ([`Mutation`]).
//!
//! **Not its concern:** cryptography that is wrong alike on both sides; recorded conversations and known answers are for
//! that.
//!
//! # What happens in a run
//!
//! Two devices, or a few, or three hundred contacts of one, all strangers at first. Users write, one message or hundreds.
//! They install the app anew and say nothing; restore backups; refuse new identity keys and accept them; reset sessions;
//! change the storage key. Devices sleep for up to 90 days, and the server keeps mail for 60; clocks are some hours wrong,
//! or a year for an hour; uploads of prekeys fail for weeks, arrive unheard, are heard of late. Hosts crash before their
//! transaction is durable, after it, and between it and the network; a commit that was answered is lost; two workers race;
//! a single row is put back as it was. The server loses, doubles and reorders mail, changes a bit of it, replays it many
//! times, and puts it into other wrappings; it gives one-time prekeys twice, bundles of long ago, bundles with a bit
//! changed, and says that none are left. In three of four runs devices keep sessions in memory; in one of eight all that is
//! written is framed. Directed runs do one thing again and again that is rare in the others.
//!
//! Then the server is honest, clocks are right and all devices run: round by round, an hour apart.
//!
//! # What is asserted
//!
//! - For each message that is not with its recipient the ledger asks where it is, and who was told: see [`End`]. There is
//!   nothing else that excuses it.
//! - Nothing is read twice, whatever is replayed in whatever wrapping; a text comes twice only where its sender went back in
//!   time and wrote it again, or where an answer had to be sent again. Nothing is in the wrong place, or altered.
//! - Nothing is sent again to another identity key, or more often than it was asked for.
//! - Envelopes that nobody asked for: at most 20 of a device to another in a day, and 10 for each message that was lost and
//!   each mishap that ends sessions. [`recover`]: from a bad state of two or three devices all is well within 12 rounds, after 40
//!   questions at most.
//! - A session is started for repair only with a device that is not heard, or that was asked in the one that there is and has not
//!   answered for an hour. Nothing is asked for while a user has to decide about an identity key, and none is taken for another.
//! - A prekey that was handed out is there for weeks; while an upload waits the same ones are uploaded.
//! - A message has one name, in whatever wrapping; what an operation says is true of the rows that it is committed to; and
//!   no number in a message makes work without a bound.
//! - Of framed messages the platform can verify a report, and it blames nobody who is honest, whichever row was put back.
//! - At the end a message goes each way between any two, in one session.
//! - No key and nonce seals two texts; in suite `Signal` no message key goes out under two texts.
//! - A restored backup is found when it is opened, and nothing else is taken for one.
//! - Nothing that is printed shows a text, a storage key, an identity's private key, or the key that rows are sealed with.
//!   Operations need few rounds of loading, and every record is bounded.
//!
//! In suite `Signal`, where nobody asks, what cannot be read stays lost, and users begin anew.

mod accounts;
mod ends;
mod ledger;
mod monitor;
mod runs;
mod server;
mod stamps;
mod starts;
mod stored_prekeys;
#[expect(clippy::indexing_slicing, reason = "devices are known by their places in a list that stays; a tool of tests")]
mod world;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

pub use ends::{End, Loss};
pub use runs::{directed, recover, run};

/// What was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Broken {
    /// So many messages have come to such ends.
    Lost(BTreeMap<Loss, usize>),
    /// From a bad state it took so many rounds and so many envelopes until all was well.
    Slow(usize, usize),
    /// So many envelopes of one device to another in one day, and in all, that nobody asked for.
    Chatty(usize, usize),
    /// So many bundles of one device were fetched in one day, and with them one-time prekeys.
    Claimed(u64),
    /// A text is with somebody whom it was not written to, or is not what was written.
    Misplaced,
    /// An envelope was opened twice by one database.
    OpenedTwice,
    /// A text came twice, and its sender had no reason.
    CameTwice,
    /// Some messages after a commit was lost others still could not be read.
    Unhealed,
    /// Two devices that have heard each other do not go on in one session.
    Apart,
    /// A message was sent again to a device with another identity key than the one it was sealed to.
    OtherKey,
    /// A message was sent again more often than it was asked for.
    AnsweredTwice,
    /// Somebody was told of a message that nobody has written, or of one under two names.
    Misnamed,
    /// A session was started to ask in, and the other device had been heard in the one that is there and was not given an
    /// hour to answer; or the fourth one in a day, with a device that was not heard.
    Needless(usize, usize),
    /// A bundle was wanted, and nothing waited for it.
    Idle,
    /// Something was asked for of a device while its user's identity key was to be decided upon.
    AskedUndecided,
    /// What an operation said was not true of the rows that it was committed to.
    Untrue,
    /// For one message chains were stepped so often.
    Overworked(u64),
    /// An honest device was said to tell two stories, or to name what was never sent.
    Blamed,
    /// A device was taken for a new one, under another identity key than it had, and nobody was asked.
    Mistaken,
    /// What the platform says to an honest report of what was read.
    Report(String),
    /// A prekey was deleted that somebody may have got a few weeks ago.
    PrekeyGone,
    /// Prekeys were made while others waited to be uploaded, or were taken for uploaded that were not.
    Prekeys,
    /// The two sides do not come to rest.
    Restless,
    /// An operation can never be committed: its batch does not fit the rows that it was staged on.
    Stuck(String),
    /// When all faults had ended, no message came through.
    Silent,
    /// A key and nonce sealed two texts.
    KeyRepeated,
    /// A restored backup was not found.
    RollbackMissed,
    /// A database that was not rolled back was said to be.
    RollbackInvented,
    /// Something that is printed shows a secret.
    Leak(String),
    /// An operation needed so many rounds of loading; what it gave, or how it failed, and the kinds of records.
    Rounds(usize, String),
    /// A record of this kind is so long.
    TooLong(u8, usize),
    /// The library refused what it should not have.
    Refused(String),
}

/// A defect of a host's or a store's, planted so that the simulator proves that it finds such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mutation {
    /// An envelope is posted before its batch is durable.
    SendBeforeCommit,
    /// The rollback counter is left out when a restored backup is opened, and the old sessions go on.
    ReuseAfterRestore,
    /// The store writes without comparing versions.
    SkippedCheck,
}

/// What a run was made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Messages that users wrote.
    pub written: usize,
    /// What became of them.
    pub ends: BTreeMap<End, usize>,
    /// Devices.
    pub devices: usize,
    /// Days that passed.
    pub days: u64,
    /// Devices that were switched off for a while.
    pub sleeps: usize,
    /// Rows that were put back singly.
    pub rows_back: usize,
    /// Commits that were lost.
    pub losses: usize,
    /// Envelopes that nobody asked for.
    pub unasked: usize,
    /// The most of them of one device to another in one day.
    pub unasked_in_a_day: usize,
    /// The most bundles of one device that were handed out in one day.
    pub claimed_in_a_day: u64,
    /// The most rounds that it took, with an honest server, until all was well.
    pub rounds_to_rest: usize,
    /// The most envelopes in them that nobody asked for.
    pub envelopes_to_rest: usize,
    /// The most bytes that one device's rows of others take.
    pub bytes_of_peers: usize,
    /// Crashes, and commits of unknown outcome.
    pub crashes: usize,
    /// Batches that lost a race.
    pub conflicts: u64,
    /// Backups that were restored.
    pub restores: usize,
    /// Accounts that were made anew.
    pub accounts: usize,
    /// Envelopes that came with a bit changed before they came right.
    pub garbled: usize,
    /// Clocks that were set wrong.
    pub clocks: usize,
    /// Operations that were staged.
    pub operations: u64,
    /// Texts and records that were sealed.
    pub seals: usize,
    /// The most rounds of loading that an operation has needed.
    pub rounds: usize,
    /// The same of operations on many envelopes.
    pub rounds_of_bulk: usize,
    /// The longest row of each kind of record.
    pub largest: BTreeMap<u8, usize>,
}

impl Report {
    /// Adds another run's.
    pub fn add(&mut self, other: Self) {
        self.written += other.written;
        self.devices += other.devices;
        self.days += other.days;
        self.sleeps += other.sleeps;
        self.rows_back += other.rows_back;
        self.losses += other.losses;
        self.unasked += other.unasked;
        self.crashes += other.crashes;
        self.conflicts += other.conflicts;
        self.restores += other.restores;
        self.accounts += other.accounts;
        self.garbled += other.garbled;
        self.clocks += other.clocks;
        self.operations += other.operations;
        self.seals += other.seals;
        self.rounds = self.rounds.max(other.rounds);
        self.rounds_of_bulk = self.rounds_of_bulk.max(other.rounds_of_bulk);
        self.unasked_in_a_day = self.unasked_in_a_day.max(other.unasked_in_a_day);
        self.claimed_in_a_day = self.claimed_in_a_day.max(other.claimed_in_a_day);
        self.rounds_to_rest = self.rounds_to_rest.max(other.rounds_to_rest);
        self.envelopes_to_rest = self.envelopes_to_rest.max(other.envelopes_to_rest);
        self.bytes_of_peers = self.bytes_of_peers.max(other.bytes_of_peers);
        for (end, count) in other.ends {
            *self.ends.entry(end).or_default() += count;
        }
        for (kind, len) in other.largest {
            let largest = self.largest.entry(kind).or_default();
            *largest = len.max(*largest);
        }
    }
}

/// A seed that shows a defect, with everything that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed: the same run again.
    pub seed: u64,
    /// What is wrong.
    pub broken: Broken,
    /// The steps.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {:?}", self.seed, self.broken)?;
        self.trace.iter().try_for_each(|step| writeln!(f, "  {step}"))
    }
}

impl core::error::Error for Failure {}

#[cfg(test)]
mod defects;
#[cfg(test)]
mod tests;
