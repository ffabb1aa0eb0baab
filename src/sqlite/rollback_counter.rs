use std::borrow::ToOwned as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::client::RollbackCounter;

/// The [rollback counter](RollbackCounter) in a file: the counter by which an older copy of the database is found.
///
/// It must lie where no backup of the database reaches: on a server, on a disk that is not in the snapshots. On a phone it
/// belongs in the key store, "this device only", and not in a file.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir().join(format!("subrosa-counter-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// use subrosa::{client::RollbackCounter, sqlite::RollbackCounterFile};
/// let file = RollbackCounterFile::at(&folder.join("alice.counter"));
/// let advance = |counter: RollbackCounter| Ok::<_, std::io::Error>((counter, RollbackCounter::new(5)));
/// assert_eq!(file.advance(advance)?, RollbackCounter::new(0)); // none was stored yet
/// assert_eq!(file.advance(advance)?, RollbackCounter::new(5));
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RollbackCounterFile(PathBuf);

impl RollbackCounterFile {
    /// The file of this name. Beside it there will be one that locks it.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Does with the stored counter what advances it, and stores the new one, unless a greater one is there. One process at a
    /// time: one that reads the counter, and finds an account that others have advanced twice since, would take that for a
    /// rollback.
    ///
    /// # Errors
    ///
    /// Those of `act`, and of the file system. What `act` has committed stays: the rollback counter is one behind then,
    /// which is no rollback.
    ///
    /// # Examples
    ///
    /// See [`RollbackCounterFile`].
    pub fn advance<T, E: From<io::Error>>(
        &self,
        act: impl FnOnce(RollbackCounter) -> Result<(T, RollbackCounter), E>,
    ) -> Result<T, E> {
        // Given back when the file is closed, also by a process that is killed.
        let lock = File::create(self.0.with_extension("lock"))?;
        lock.lock()?;
        let stored = self.read()?;
        let (output, rollback_counter) = act(stored)?;
        if let Some(counter) = rollback_counter.get().filter(|_| stored < rollback_counter) {
            self.store(counter)?;
        }
        Ok(output)
    }

    /// The counter; 0 where there is no file yet.
    fn read(&self) -> io::Result<RollbackCounter> {
        match fs::read_to_string(&self.0) {
            Ok(counter) => Ok(RollbackCounter::new(counter.trim().parse().map_err(io::Error::other)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(RollbackCounter::new(0)),
            Err(error) => Err(error),
        }
    }

    /// Written beside it and put in its place: whoever dies in between leaves the old one, whole.
    fn store(&self, counter: u64) -> io::Result<()> {
        let new = self.0.with_extension("new");
        let mut file = File::create(&new)?;
        writeln!(file, "{counter}")?;
        file.sync_all()?;
        fs::rename(&new, &self.0)?;
        // The name is durable when its folder is. Of a bare file name the parent is the empty path: that is here.
        let folder = self.0.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        File::open(folder)?.sync_all()
    }
}
