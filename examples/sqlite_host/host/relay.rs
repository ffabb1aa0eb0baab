//! A relay that is a folder: mail boxes and published prekeys as files, for processes that share a disk.
//!
//! It stands for a server and its network. It delivers at least once, keeps a message until it is acknowledged, and has a
//! [`PrekeyStore`] for the prekeys of each device, which hands out every one-time prekey at most once.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io};

use subrosa::client::{PrekeyCounts, PrekeyUpload};
use subrosa::ident::Address;
use subrosa::platform::{PrekeyStore, PrekeyStoreError};
use subrosa::prekey::UnverifiedBundle;
use subrosa::suite::Suite;
use subrosa::wire::Envelope;

use super::Failure;

#[derive(Clone)]
pub(crate) struct Relay(PathBuf);

/// A message in a mail box.
pub(crate) struct Letter {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl AsRef<[u8]> for Letter {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Relay {
    pub(crate) fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    fn folder(&self, of: &Address, what: &str) -> io::Result<PathBuf> {
        // A real relay does not make file names of what users are called.
        let folder = self.0.join(of.to_string()).join(what);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Puts a message into the recipient's mail box, behind those that are there.
    pub(crate) fn post(&self, envelope: &[u8]) -> Result<(), Failure> {
        let Envelope { to, id, .. } = Envelope::parse(envelope)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let id = id.map(|byte| format!("{byte:02x}")).concat();
        let name = format!("{now:024}-{id}-{}", std::process::id());
        let draft = self.folder(&to, "drafts")?.join(&name);
        fs::write(&draft, envelope)?;
        Ok(fs::rename(draft, self.folder(&to, "mail")?.join(name))?)
    }

    /// What is in one's mail box, oldest first, at most so much.
    pub(crate) fn mail(&self, of: &Address, most: usize) -> Result<Vec<Letter>, Failure> {
        let mut paths: Vec<_> = fs::read_dir(self.folder(of, "mail")?)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        paths.sort();
        let mut letters = Vec::new();
        for path in paths.into_iter().take(most) {
            match fs::read(&path) {
                Ok(bytes) => letters.push(Letter { path, bytes }),
                // Another process of the same device has acknowledged it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(letters)
    }

    /// Forgets a message.
    pub(crate) fn acknowledge(&self, letter: &Letter) -> io::Result<()> {
        match fs::remove_file(&letter.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes prekeys, as they come over the network.
    pub(crate) fn publish(&self, upload: &[u8]) -> Result<(), Failure> {
        let upload = PrekeyUpload::parse(upload)?;
        self.change_prekey_store(&upload.address, |prekey_store| match prekey_store.apply(&upload) {
            // An app that was installed anew, or an older copy of its file. This relay believes whoever has the folder; a real
            // one has the device registered anew before it puts anything in the place of what is there.
            Err(PrekeyStoreError::OtherIdentity | PrekeyStoreError::OtherKey | PrekeyStoreError::Older) => {
                prekey_store.replace(&upload)
            }
            applied => applied,
        })??;
        Ok(())
    }

    /// How many one-time prekeys are left.
    pub(crate) fn counts(&self, of: &Address) -> Result<PrekeyCounts, Failure> {
        Ok(self.prekey_store(of)?.counts())
    }

    /// A bundle of prekeys to start a session with, if the device has published any.
    pub(crate) fn bundle(&self, of: &Address) -> Result<Option<UnverifiedBundle>, Failure> {
        self.change_prekey_store(of, PrekeyStore::claim)
    }

    fn prekey_store(&self, of: &Address) -> Result<PrekeyStore, Failure> {
        match fs::read(self.folder(of, "prekeys")?.join("prekey_store")) {
            Ok(bytes) => Ok(PrekeyStore::from_bytes(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(PrekeyStore::new(of.clone(), Suite::V1)),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes a prekey store, one process at a time, and gives what came of it once the prekey store is stored: so nobody
    /// else gets the same one-time prekey.
    fn change_prekey_store<T>(&self, of: &Address, change: impl FnOnce(&mut PrekeyStore) -> T) -> Result<T, Failure> {
        let folder = self.folder(of, "prekeys")?;
        let lock = fs::File::create(folder.join("lock"))?;
        lock.lock()?;
        let before = self.prekey_store(of)?;
        let mut prekey_store = before.clone();
        let done = change(&mut prekey_store);
        if prekey_store != before {
            fs::write(folder.join("draft"), prekey_store.to_bytes())?;
            fs::rename(folder.join("draft"), folder.join("prekey_store"))?;
        }
        Ok(done)
    }
}
