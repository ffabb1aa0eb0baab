use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::held::{Held, Rows};
use super::row::Row;
use super::staged::Staged;
use super::store::Store;
use super::workspace::{Stop, Workspace};
use crate::crypto::{Expander, Secret, sha256};
use crate::ident::Timestamp;
use crate::persist::RecordKey;

/// What an operation says when it is stepped.
#[derive(Debug)]
#[must_use = "an operation goes on when it has its rows, and happens when its batch is applied"]
pub enum Step<T> {
    /// It needs these rows: [`Operation::supply`] them, in this order, and step again.
    Need(Vec<RecordKey>),
    /// It is done; nothing has happened before its batch is durable.
    Ready(Staged<T>),
}

/// Why an operation could not be staged. Nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StageError<E, S> {
    /// The operation's own error.
    #[error(transparent)]
    Operation(E),
    /// The store could not load.
    #[error("the store could not load")]
    Store(#[source] S),
    /// The store gave more or fewer rows than it was asked for: a defect of the host's.
    #[error("the store gave another number of rows than it was asked for")]
    Rows,
}

/// An operation of a client: a pure function of its arguments, of the records it needs, of time and randomness.
///
/// It needs at most four rounds of loading ([`Client::receive_many`](crate::client::Client::receive_many) six). What no batch
/// checks, an error or an outcome without changes, costs one more if it came of several: all rows once more, of one moment.
///
/// [`Self::run`] does all of it on a [`Database`](super::Database), in one call. A host that cannot lend one (async storage,
/// another language) steps it by hand, as below; both give the same bytes.
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Talking { alice, alice_db, bob, now, mut rng, .. } = talking();
/// use subrosa::staging::{Step, Store};
/// let mut operation = alice.send(MessageId::new([1; 16]), bob.address(), b"hi");
/// let staged = loop {
///     match operation.step(now, &mut rng)? {
///         Step::Need(keys) => operation.supply(alice_db.load(&keys)?),
///         Step::Ready(staged) => break staged,
///     }
/// };
/// alice_db.write(staged.batch())?; // one durable transaction
/// let sent = staged.committed(); // now it exists
/// # assert!(!sent.outgoing().first().unwrap().bytes().is_empty());
/// # Ok(())
/// # }
/// ```
#[must_use = "an operation does nothing before it is staged"]
pub struct Operation<T, E> {
    /// What it is, and a hash of what it was asked to do.
    kind: &'static str,
    asked: [u8; 32],
    #[expect(clippy::type_complexity, reason = "one boxed function")]
    run: Box<dyn Fn(&mut Workspace<'_>) -> Result<T, Stop<E>> + Send + Sync>,
    rows: Rows,
    needed: Vec<RecordKey>,
    /// What it draws from, in every pass.
    seed: Option<Secret<32>>,
    /// How many loads the rows are of, and how often they were loaded anew.
    loads: u32,
    reloads: u32,
}

const LABEL_OPERATION: &[u8] = b"\x13subrosa/1/operation";
const LABEL_SECRET: &[u8] = b"\x06secret";
const LABEL_PUBLIC: &[u8] = b"\x06public";

/// So often an operation loads all its rows anew because they may be of different moments.
const MAX_RELOADS: u32 = 8;

impl<T, E> core::fmt::Debug for Operation<T, E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Operation").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

impl<T, E> Operation<T, E> {
    /// An operation of a kind that has no other's name.
    pub(crate) fn new(
        kind: &'static str,
        run: impl Fn(&mut Workspace<'_>) -> Result<T, Stop<E>> + Send + Sync + 'static,
    ) -> Self {
        let (rows, needed) = (BTreeMap::new(), Vec::new());
        Self { kind, asked: [0; 32], run: Box::new(run), rows, needed, seed: None, loads: 0, reloads: 0 }
    }

    /// Binds what it draws to what it was asked to do besides, where that is not a secret.
    pub(crate) fn asked(mut self, parts: &[&[u8]]) -> Self {
        self.asked = sha256(parts);
        self
    }

    /// What it draws from, once the host has given 32 bytes: for secrets and for what is public.
    ///
    /// A machine that is cloned gives the same bytes to two operations. What one of them shows must not be a secret of the
    /// other, nor a secret that one of them gives away (whoever decapsulates learns what was drawn for it) one that the
    /// other keeps. So the bytes are bound to the operation and to what it was asked, and there are two streams. They are not
    /// bound to the rows: ids that are drawn name rows, which are asked for and must be the same in the next pass.
    fn seed(&self, drawn: &Secret<32>) -> Secret<32> {
        let len = u8::try_from(self.kind.len()).unwrap_or(u8::MAX);
        let parts: &[&[u8]] = &[LABEL_OPERATION, drawn.expose(), &[len], self.kind.as_bytes(), &self.asked];
        Secret::new(sha256(parts))
    }

    /// Goes as far as the rows allow.
    ///
    /// # Errors
    ///
    /// The operation's own. Nothing has happened.
    ///
    /// # Security
    ///
    /// Takes 32 bytes from `rng`, once, however often it is stepped: whatever it draws comes from them, and from what the
    /// operation is and was asked. What an earlier step made for want of a row is gone, so no two outcomes are made of
    /// the same bytes. Nor have two operations secrets in common, even if a cloned generator gives both the same.
    ///
    /// An operation that waits for more rows holds those that it has, opened: drop it if they do not come.
    pub fn step(&mut self, now: Timestamp, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Step<T>, E> {
        let seed = self.seed.take().unwrap_or_else(|| self.seed(&Secret::random(rng)));
        let streams = [Expander::new(LABEL_SECRET, seed.clone()), Expander::new(LABEL_PUBLIC, seed.clone())];
        self.seed = Some(seed);
        let mut workspace = Workspace::new(&mut self.rows, now, streams);
        match (self.run)(&mut workspace) {
            Ok(output) => {
                let batch = workspace.into_batch();
                if batch.is_empty() && self.is_mixed() {
                    return Ok(Step::Need(self.reload()));
                }
                // Stepped once more it begins anew, with other random bytes.
                (self.seed, self.rows, self.needed) = (None, BTreeMap::new(), Vec::new());
                (self.loads, self.reloads) = (0, 0);
                Ok(Step::Ready(Staged::new(batch, output)))
            }
            Err(Stop::Need) => {
                self.needed = workspace.into_needed();
                Ok(Step::Need(self.needed.clone()))
            }
            Err(Stop::Fail(_)) if self.is_mixed() => Ok(Step::Need(self.reload())),
            Err(Stop::Fail(error)) => {
                // Nothing is done with them any more: what was opened of them is wiped now.
                (self.rows, self.loads) = (BTreeMap::new(), 0);
                Err(error)
            }
        }
    }

    /// Whether an outcome that no batch checks may come from rows that never were there together: somebody else wrote
    /// between two loads, and what belongs together looks damaged, or gone.
    const fn is_mixed(&self) -> bool {
        self.loads > 1 && self.reloads < MAX_RELOADS
    }

    /// Asks for all rows once more, in one load.
    fn reload(&mut self) -> Vec<RecordKey> {
        (self.loads, self.reloads) = (0, self.reloads + 1);
        self.needed = core::mem::take(&mut self.rows).into_keys().collect();
        self.needed.clone()
    }

    /// Gives the rows that the last step asked for, in its order. Answers that are missing are asked for again.
    pub fn supply(&mut self, rows: Vec<Option<Row>>) {
        self.loads = self.loads.saturating_add(1);
        self.rows.extend(self.needed.drain(..).zip(rows.into_iter().map(|row| row.map(Held::from))));
    }

    /// Loads what it needs and goes to the end. [`Self::run`] commits as well.
    ///
    /// # Errors
    ///
    /// [`StageError`]. Nothing has happened.
    pub fn stage<S: Store>(
        mut self,
        store: &S,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Staged<T>, StageError<E, S::Error>> {
        self.stage_once(store, now, rng)
    }

    /// The same; staged once more it begins anew, from fresh rows and with other random bytes.
    pub(super) fn stage_once<S: Store>(
        &mut self,
        store: &S,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Staged<T>, StageError<E, S::Error>> {
        loop {
            match self.step(now, rng).map_err(StageError::Operation)? {
                Step::Ready(staged) => return Ok(staged),
                Step::Need(keys) => {
                    let rows = store.load(&keys).map_err(StageError::Store)?;
                    if rows.len() != keys.len() {
                        return Err(StageError::Rows);
                    }
                    self.supply(rows);
                }
            }
        }
    }
}
