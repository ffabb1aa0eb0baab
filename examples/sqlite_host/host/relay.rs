//! A relay that is a folder: mail boxes and published prekeys as files, for processes that share a disk.
//!
//! It stands for a server and its network. It delivers at least once, keeps a message until it is acknowledged, and hands
//! out every one-time prekey at most once, also when the same prekeys are uploaded again.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io};

use subrosa::client::{PrekeyCounts, PrekeyUpload};
use subrosa::ident::Address;
use subrosa::prekey::UnverifiedBundle;

use super::Failure;

#[derive(Clone)]
pub(crate) struct Relay(PathBuf);

/// A message in a mail box.
pub(crate) struct Letter {
    path: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

impl Relay {
    pub(crate) fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    fn folder(&self, of: &Address, what: &str) -> io::Result<PathBuf> {
        // A real relay does not make file names of what users are called.
        let name = format!("{}.{}", of.user().as_str(), of.device().get());
        let folder = self.0.join(name).join(what);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Puts a message into the recipient's mail box, behind those that are there.
    pub(crate) fn post(&self, to: &Address, id: &[u8; 16], bytes: &[u8]) -> Result<(), Failure> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let id = id.map(|byte| format!("{byte:02x}")).concat();
        let name = format!("{now:024}-{id}-{}", std::process::id());
        let draft = self.folder(to, "drafts")?.join(&name);
        fs::write(&draft, bytes)?;
        Ok(fs::rename(draft, self.folder(to, "mail")?.join(name))?)
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

    /// Takes prekeys. Bundles with one-time prekeys are files of their own; the one without is for when they run out.
    pub(crate) fn publish(&self, upload: &PrekeyUpload) -> Result<(), Failure> {
        let (fresh, given) = (self.folder(&upload.address, "bundles")?, self.folder(&upload.address, "given")?);
        let save = |name: &str, bundle: &UnverifiedBundle| {
            let draft = self.folder(&upload.address, "drafts")?.join(format!("{name}-{}", std::process::id()));
            fs::write(&draft, bundle.to_bytes())?;
            fs::rename(draft, fresh.join(name))
        };
        for (one_time, kem) in upload.one_time.iter().zip(&upload.one_time_kem) {
            let name = one_time.0.get().to_string();
            // Nothing that was given out is given out again.
            if !given.join(&name).exists() {
                save(&name, &upload.bundle(Some(one_time), Some(kem)))?;
            }
        }
        Ok(save("last", &upload.bundle(None, None))?)
    }

    /// How many one-time prekeys are left.
    pub(crate) fn counts(&self, of: &Address) -> Result<PrekeyCounts, Failure> {
        let left = u32::try_from(fs::read_dir(self.folder(of, "bundles")?)?.count())?.saturating_sub(1);
        Ok(PrekeyCounts { one_time: left, one_time_kem: left })
    }

    /// A bundle of prekeys to start a session with, if the device has published any.
    pub(crate) fn bundle(&self, of: &Address) -> Result<Option<UnverifiedBundle>, Failure> {
        let (fresh, given) = (self.folder(of, "bundles")?, self.folder(of, "given")?);
        for entry in fs::read_dir(&fresh)? {
            let entry = entry?;
            let taken = given.join(entry.file_name());
            // Moving the file is what gives it to one asker only.
            if entry.file_name() != "last" && fs::rename(entry.path(), &taken).is_ok() {
                return Ok(Some(UnverifiedBundle::parse(&fs::read(taken)?)?));
            }
        }
        match fs::read(fresh.join("last")) {
            Ok(bytes) => Ok(Some(UnverifiedBundle::parse(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
