use std::collections::VecDeque;
use std::convert::Infallible;
use std::vec::Vec;

use rand_core::CryptoRng;
use rusqlite::Transaction;

use super::file::Sqlite;
use super::names::{note_read, was_read};
use crate::client::{Client, Database as _, Disposition, MAX_BULK, ReceiveError, Received, RunError};
use crate::ident::Timestamp;
use crate::session::AcceptError;
use crate::staging::Batch;
use crate::wire::Envelope;

/// What was received, or why it was not.
type Outcome = Result<Received, ReceiveError>;

/// What came in, for the host's own rows.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Arrival<'a> {
    /// As it came.
    pub bytes: &'a [u8],
    /// What was received, or why it was not.
    pub outcome: &'a Outcome,
    /// Whether it was read for the first time. What is not new is not shown: it came again, or answers what was read in the
    /// meantime.
    pub is_new: bool,
}

impl Arrival<'_> {
    /// What to tell the transport, after the commit. What is for [later](Disposition::Later) a host keeps in a table of its own, or the
    /// server does; it is received again after a roster was fetched, and when the app was updated.
    #[must_use]
    pub const fn disposition(&self) -> Disposition {
        Disposition::of(self.outcome)
    }
}

impl Sqlite {
    /// Receives all of this, in as few transactions as others allow, and gives the outcome of each. Each is written together
    /// with what `own` makes of it; then it is acknowledged, as [`Disposition::of`] says.
    ///
    /// It does what a host owes the library besides: the [names](note_read) of what was read are noted; what was read long ago,
    /// and comes when its key is gone, is a duplicate and asked for by nobody; what only repeats a start of long ago, and was
    /// never read, is asked for. Where somebody else is faster, less is taken at a time.
    ///
    /// # Errors
    ///
    /// [`RunError`]. What was committed by then is received: delivered again, it is a duplicate.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn receive(db: &subrosa::sqlite::Sqlite, bob: &subrosa::client::Client, mail: &[Vec<u8>],
    /// #     now: subrosa::ident::Timestamp, mut rng: impl rand_core::CryptoRng) -> Result<(), Box<dyn std::error::Error>> {
    /// use subrosa::client::{Disposition, Received};
    /// let outcomes = db.receive(bob, mail, now, &mut rng, |tx, arrival| {
    ///     if let (true, Ok(Received::Message(message))) = (arrival.is_new, arrival.outcome) {
    ///         tx.execute("INSERT INTO message VALUES (?1)", [message.plaintext()])?;
    ///     }
    ///     Ok(())
    /// })?;
    /// for (outcome, bytes) in outcomes.iter().zip(mail) {
    ///     match Disposition::of(outcome) {
    ///         Disposition::Ack => { /* tell the server to forget it */ }
    ///         _ => { /* it stays there */ }
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn receive(
        &self,
        client: &Client,
        mail: &[impl AsRef<[u8]>],
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
        mut own: impl FnMut(&mut Transaction<'_>, Arrival<'_>) -> rusqlite::Result<()>,
    ) -> Result<Vec<Outcome>, RunError<Infallible, rusqlite::Error>> {
        // What no outcome is known of stays with the server.
        let mut outcomes: Vec<Outcome> = mail.iter().map(|_| Err(ReceiveError::NoAccount)).collect();
        let mut waiting = VecDeque::new();
        for (bytes, outcome) in mail.iter().map(AsRef::as_ref).zip(&mut outcomes) {
            match Envelope::parse(bytes) {
                Ok(envelope) => waiting.push_back(Waiting { bytes, envelope, outcome }),
                Err(error) => {
                    *outcome = Err(error.into());
                    let arrival = Arrival { bytes, outcome, is_new: false };
                    self.transact(&Batch::default(), |tx| own(tx, arrival))?;
                }
            }
        }
        let (mut most, mut attempts) = (MAX_BULK, self.attempts());
        while !waiting.is_empty() {
            match self.receive_some(client, &mut waiting, most, now, rng, &mut own) {
                Ok(()) => attempts = self.attempts(),
                // Whoever takes much at a time loses every race against those who take little.
                Err(RunError::Conflict) if attempts > 1 => {
                    (most, attempts) = ((most.min(waiting.len()) / 2).max(1), attempts - 1)
                }
                Err(error) => return Err(error),
            }
        }
        Ok(outcomes)
    }

    /// Receives the first of these in one transaction, and takes them out.
    fn receive_some(
        &self,
        client: &Client,
        waiting: &mut VecDeque<Waiting<'_>>,
        most: usize,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
        own: &mut impl FnMut(&mut Transaction<'_>, Arrival<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), RunError<Infallible, rusqlite::Error>> {
        let envelopes: Vec<_> = waiting.iter().take(most).map(|it| it.envelope.clone()).collect();
        let staged = client.receive_many(&envelopes).stage(self, now, rng)?;
        let late = staged.output().iter().map(|outcome| match outcome {
            Ok(received) => was_read(self.sql(), received),
            Err(_) => Ok(false),
        });
        let late: Vec<bool> = late.collect::<Result<_, _>>().map_err(RunError::Database)?;
        if late.contains(&true) {
            // Dropped with all that was staged. The others come next, without them.
            let mut late = late.into_iter();
            waiting.retain_mut(|it| {
                let is_late = late.next().unwrap_or(false);
                if is_late {
                    *it.outcome = Err(ReceiveError::Duplicate);
                }
                !is_late
            });
            return Ok(());
        }
        let outcomes = staged.commit(|batch, outcomes| {
            self.transact(batch, |tx| {
                outcomes.iter().zip(&*waiting).try_for_each(|(outcome, it)| {
                    let is_new = match outcome {
                        Ok(received) => note_read(tx, received)?,
                        Err(_) => false,
                    };
                    own(tx, Arrival { bytes: it.bytes, outcome, is_new })
                })
            })
        })?;
        for outcome in outcomes {
            let Some(it) = waiting.pop_front() else { break };
            // It repeats a start of long ago, so the library takes it for one that was read. The table of names knows better.
            if let Ok(Received::Unreadable(unreadable)) = &outcome
                && unreadable.reason == AcceptError::LongPast
            {
                let ask = client.ask_again(&unreadable.from, &[unreadable.name]);
                if let Err(RunError::Database(error)) = ask.run(self, now, rng, |_, ()| Ok(())) {
                    return Err(RunError::Database(error));
                }
            }
            *it.outcome = outcome;
        }
        Ok(())
    }
}

/// An envelope that is to be received, and where its outcome goes.
struct Waiting<'a> {
    bytes: &'a [u8],
    envelope: Envelope,
    outcome: &'a mut Outcome,
}
