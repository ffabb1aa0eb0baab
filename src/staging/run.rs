use rand_core::CryptoRng;

use super::batch::ApplyError;
use super::operation::{Operation, StageError};
use super::store::Database;
use crate::ident::Timestamp;

/// Why an operation did not come to its end. Nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError<E, S> {
    /// The operation's own error: what it was asked to do cannot be done.
    #[error(transparent)]
    Operation(E),
    /// Others were faster, as often as it was [tried](Database::attempts). Try again later.
    #[error("others have changed the same rows, again and again")]
    Conflict,
    /// The host's database failed; its error is the [source](core::error::Error::source). Try again when it works: whether a
    /// commit that failed was durable all the same, the operation finds out by itself.
    #[error("the database failed")]
    Database(#[source] S),
    /// The store gave more or fewer rows than it was asked for: a defect of the host's.
    #[error("the store gave another number of rows than it was asked for")]
    Rows,
}

impl<E, S> From<StageError<E, S>> for RunError<E, S> {
    fn from(error: StageError<E, S>) -> Self {
        match error {
            StageError::Operation(error) => Self::Operation(error),
            StageError::Store(error) => Self::Database(error),
            StageError::Rows => Self::Rows,
        }
    }
}

impl<E, S> From<ApplyError<S>> for RunError<E, S> {
    fn from(error: ApplyError<S>) -> Self {
        match error {
            ApplyError::Conflict => Self::Conflict,
            ApplyError::Store(error) => Self::Database(error),
        }
    }
}

impl<T, E> Operation<T, E> {
    /// Does it: stages it, and commits it in one durable transaction with rows of the host's; from the beginning, where somebody
    /// else was faster.
    ///
    /// `own` writes what belongs to the outcome, with the transaction that it is given: the message that is shown, the envelope
    /// that goes out. It may run several times, so all that it does goes through the transaction. What it fails with rolls
    /// back the whole. When this returns, all of it is durable; only then post, and only then acknowledge.
    ///
    /// # Errors
    ///
    /// [`RunError`]. Nothing has happened.
    ///
    /// # Security
    ///
    /// What `own` sees is for its transaction and for nothing else, see [`Staged`](super::Staged).
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// alice.send(MessageId::new([1; 16]), bob.address(), b"hi").run(&db, now, &mut rng, |tx, sent| {
    ///     tx.outbox.extend(sent.outgoing().iter().map(Outgoing::bytes)); // none if it was sent before
    ///     Ok(())
    /// })?;
    /// assert_eq!(db.outbox().len(), 1); // to be posted
    /// # Ok(())
    /// # }
    /// ```
    pub fn run<D: Database>(
        self,
        db: &D,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
        own: impl FnMut(&mut D::Transaction<'_>, &T) -> Result<(), D::Error>,
    ) -> Result<T, RunError<E, D::Error>> {
        self.go(db, now, rng, |_| Ok(false), own).map(|(output, _)| output)
    }

    /// The same, unless the outcome turns out to be nothing new: `is_known` looks at it before anything is written, and where it
    /// says so all of it is dropped. `None`: it was, and nothing has happened.
    ///
    /// For what was received: a message that cannot be read, and whose name is in the host's table, was read before. It is
    /// acknowledged, and not asked for.
    ///
    /// # Errors
    ///
    /// [`RunError`]. Nothing has happened.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db, bob, bob_db: db, now, mut rng, .. } = talking();
    /// # let mut read = std::collections::BTreeSet::new(); // the host's table of names
    /// # let sent = alice.send(MessageId::new([1; 16]), bob.address(), b"hi").run(&alice_db, now, &mut rng, |_, _| Ok(()))?;
    /// # let envelope = Envelope::parse(&sent.outgoing().first().unwrap().bytes())?;
    /// let is_known = |received: &Received| match received {
    ///     Received::Unreadable(unreadable) => Ok(read.contains(&(unreadable.from.clone(), unreadable.name))),
    ///     _ => Ok(false),
    /// };
    /// let received = bob.receive(&envelope).run_unless(&db, now, &mut rng, is_known, |tx, received| {
    ///     // … the message into the host's tables, its name into that of names …
    ///     Ok(())
    /// })?;
    /// assert!(matches!(received, Some(Received::Message(_)))); // in both cases acknowledge it now
    /// # read.insert((alice.address().clone(), received.unwrap().name().unwrap()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_unless<D: Database>(
        self,
        db: &D,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
        is_known: impl FnMut(&T) -> Result<bool, D::Error>,
        own: impl FnMut(&mut D::Transaction<'_>, &T) -> Result<(), D::Error>,
    ) -> Result<Option<T>, RunError<E, D::Error>> {
        self.go(db, now, rng, is_known, own).map(|(output, committed)| committed.then_some(output))
    }

    /// The outcome, and whether it was committed.
    fn go<D: Database>(
        mut self,
        db: &D,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
        mut is_known: impl FnMut(&T) -> Result<bool, D::Error>,
        mut own: impl FnMut(&mut D::Transaction<'_>, &T) -> Result<(), D::Error>,
    ) -> Result<(T, bool), RunError<E, D::Error>> {
        let mut left = db.attempts();
        loop {
            let staged = self.stage_once(db, now, rng)?;
            if is_known(staged.output()).map_err(RunError::Database)? {
                return Ok((staged.committed(), false));
            }
            left = left.saturating_sub(1);
            match db.transact(staged.batch(), |tx| own(tx, staged.output())) {
                Ok(()) => return Ok((staged.committed(), true)),
                Err(ApplyError::Conflict) if left > 0 => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
