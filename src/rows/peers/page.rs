//! The index of peer devices, in 256 pages.

use alloc::vec::Vec;

use super::peer::Peer;
use crate::ident::Address;
use crate::persist::RecordKey;
use crate::rows::Core;
use crate::staging::{Stop, StoredError, Workspace, stored};
use crate::suite::v1::encode_address;
use crate::wire::{RecordError, RecordKind, address_from_record, address_to_record, decode_record, encode_row, record};

type Halt = Stop<StoredError>;

impl Core {
    pub(crate) fn page_of(&self, address: &Address) -> u8 {
        let [page, ..] = *self.keys.pseudonym(&[b"page", &encode_address(address)]).expose();
        page
    }

    pub(crate) fn page_key(&self, page: u8) -> RecordKey {
        self.keys.record_key(RecordKind::PeerPage, &[&[page]])
    }

    /// The peer devices of one part of the index, ascending.
    pub(crate) fn load_page(&self, work: &mut Workspace<'_>, page: u8) -> Result<Vec<Address>, Halt> {
        let Some(bytes) = work.read(&self.keys, RecordKind::PeerPage, self.page_key(page))? else {
            return Ok(Vec::new());
        };
        let addresses = decode_record::<record::PeerPage>(RecordKind::PeerPage, bytes).and_then(|stored| {
            let addresses: Result<Vec<_>, _> =
                stored.addresses.iter().map(|address| address_from_record(Some(address))).collect();
            let addresses = addresses?;
            let whole = u32::try_from(addresses.len()) == Ok(stored.count) && addresses.is_sorted_by(|a, b| a < b);
            if whole { Ok(addresses) } else { Err(RecordError::Corrupt) }
        });
        Ok(addresses.map_err(stored(RecordKind::PeerPage))?)
    }

    pub(crate) fn save_page(&self, work: &mut Workspace<'_>, page: u8, addresses: &[Address]) -> Result<(), Halt> {
        let key = self.page_key(page);
        work.row(key)?;
        let stored = record::PeerPage {
            addresses: addresses.iter().map(address_to_record).collect(),
            count: u32::try_from(addresses.len()).unwrap_or(u32::MAX),
        };
        work.put(&self.keys, key, encode_row(RecordKind::PeerPage, &stored));
        Ok(())
    }
}

impl Peer {
    pub(super) fn enter_index(&self, core: &Core, work: &mut Workspace<'_>) -> Result<(), Halt> {
        let page = core.page_of(&self.address);
        let mut addresses = core.load_page(work, page)?;
        if let Err(at) = addresses.binary_search(&self.address) {
            addresses.insert(at, self.address.clone());
            core.save_page(work, page, &addresses)?;
        }
        Ok(())
    }
}
