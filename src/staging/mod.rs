//! How anything is done to a host's database: operations that are staged over rows, committed in one transaction of the
//! host's, and only then exist.
//!
//! Owns: [`Operation`] and how it is stepped, [`Staged`], [`Batch`] and its [`Change`]s, what is asked of the host's database
//! ([`Store`]); inside, the workspace of an operation, the rows that it holds opened, and the memory of opened rows.
//!
//! **Not its concern:** what a record holds. It knows keys and versions of rows, and no message and no session.

mod batch;
mod held;
mod operation;
mod row_cache;
mod staged;
mod store;
mod stored;
mod workspace;

pub use batch::{ApplyError, Batch, Change};
pub use operation::{Operation, StageError, Step, retry};
pub use staged::{NotInOrder, Staged};
pub use store::{Over, Row, Store};
pub use stored::StoredError;

pub(crate) use row_cache::RowCache;
pub(crate) use stored::stored;
pub(crate) use workspace::{Stop, Workspace, unless_damaged};
