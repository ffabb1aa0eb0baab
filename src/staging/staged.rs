use super::batch::{ApplyError, Batch};
use super::store::{Overlay, Store};

/// What an operation would do: its changes, and its outcome once they are durable. Dropped, nothing has happened.
///
/// # Security
///
/// What [`Self::output`] shows is for the same transaction and for nothing else: a ciphertext that leaves before its
/// ratchet step is stored, or a plaintext that is acknowledged before, is how keys repeat and messages are lost.
#[must_use = "dropped, nothing has happened: commit the batch, then take the outcome"]
pub struct Staged<T> {
    batch: Batch,
    output: T,
}

impl<T> core::fmt::Debug for Staged<T> {
    // Outcomes hold what people write.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Staged").field("changes", &self.batch.changes().len()).finish_non_exhaustive()
    }
}

impl<T> Staged<T> {
    pub(crate) const fn new(batch: Batch, output: T) -> Self {
        Self { batch, output }
    }

    /// The changes, for one durable transaction.
    pub const fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The outcome, to be written in the same transaction: a message in the host's table, an envelope in its outbox.
    pub const fn output(&self) -> &T {
        &self.output
    }

    /// Says that the batch is durable: now the outcome exists.
    #[must_use]
    pub fn committed(self) -> T {
        self.output
    }

    /// Runs the host's transaction, then gives the outcome.
    ///
    /// `transaction` applies the batch and writes what the host wants to write with it; it may run again after a
    /// conflict, so all it does goes through the transaction.
    ///
    /// # Errors
    ///
    /// That of `transaction`, which has rolled back: nothing has happened.
    pub fn commit<E>(
        self,
        transaction: impl FnOnce(&Batch, &T) -> Result<(), ApplyError<E>>,
    ) -> Result<T, ApplyError<E>> {
        transaction(&self.batch, &self.output)?;
        Ok(self.output)
    }

    /// Two operations as one batch: this one, and one that was staged [over](Self::over) it or touches none of its
    /// rows.
    ///
    /// # Errors
    ///
    /// [`NotInOrder`] if both change a row and the other was not staged over this one. Stage it over this one.
    pub fn and<U>(self, later: Staged<U>) -> Result<Staged<(T, U)>, NotInOrder> {
        let batch = self.batch.then(later.batch).ok_or(NotInOrder)?;
        Ok(Staged { batch, output: (self.output, later.output) })
    }

    /// The store as it will be once this batch is applied: for staging another operation in the same transaction.
    ///
    /// # Examples
    ///
    /// See [`Client::add_session`](crate::client::Client::add_session).
    pub const fn over<S: Store>(&self, store: S) -> Overlay<'_, S> {
        Overlay { batch: &self.batch, store }
    }

    /// The same changes with another outcome.
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Staged<U> {
        Staged { batch: self.batch, output: map(self.output) }
    }
}

/// Two staged operations change the same row and neither was staged over the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("operations change the same row and were not staged one over the other")]
pub struct NotInOrder;
