//! How anything is done to a host's database: operations that are staged over rows, committed in one transaction of the
//! host's, and only then exist.
//!
//! Owns: [`Operation`] and how it is stepped, [`Staged`], [`Batch`] and its [`Change`]s, what is asked of the host's
//! database ([`Database`]), [`Operation::run`]; inside, the workspace of an operation, the rows that it holds opened, and
//! the memory of opened rows.
//!
//! **Not its concern:** what a record holds. It knows keys and versions of rows, and no message and no session.

mod batch;
mod held;
mod operation;
mod row;
mod row_cache;
mod run;
mod staged;
mod store;
mod stored;
mod workspace;

pub use batch::{ApplyError, Batch, Change, Write};
pub use operation::{Operation, StageError, Step};
pub use row::Row;
pub use run::RunError;
pub use staged::{NotInOrder, Staged};
pub use store::{Database, Overlay, Store};
pub use stored::StoredError;

pub(crate) use row_cache::RowCache;
pub(crate) use stored::stored;
pub(crate) use workspace::{Stop, Workspace, unless_damaged};
