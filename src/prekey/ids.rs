use rand_core::CryptoRng;

use crate::ident::PrekeyId;

/// Gives out prekey ids that never repeat.
///
/// A device starts at a random base and counts up; the host stores [`Self::next_id`] in the same transaction as the
/// prekeys. After a restore from a backup, whose counter may have gone back, start at a fresh base with
/// [`Self::random`]: a first message that names an id which stood for another key could only fail, and late.
///
/// # Examples
///
/// ```
/// use subrosa::prekey::PrekeyIds;
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let mut ids = PrekeyIds::random(&mut rng);
/// let (first, second) = (ids.take()?, ids.take()?);
/// assert_eq!(second.get(), first.get() + 1);
/// let mut resumed = PrekeyIds::resume(ids.next_id());
/// assert_ne!(resumed.take()?, second);
/// # Ok::<(), subrosa::prekey::IdsExhausted>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrekeyIds {
    next: u32,
}

/// Two thousand million ids were given out. Start at a fresh random base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("prekey ids are exhausted")]
pub struct IdsExhausted;

impl PrekeyIds {
    /// Ids stay below 2^31: some formats and databases around the protocol are signed.
    const END: u32 = 1 << 31;

    /// Starts at a random base in the lower half, so that at least 2^30 ids follow.
    #[must_use]
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self { next: 1 + (rng.next_u32() >> 2) }
    }

    /// Goes on where a stored counter stands.
    #[must_use]
    pub const fn resume(next: PrekeyId) -> Self {
        Self { next: next.get() }
    }

    /// The id that comes next: what to store.
    #[must_use]
    pub const fn next_id(&self) -> PrekeyId {
        PrekeyId::new(self.next)
    }

    /// Takes an id.
    ///
    /// # Errors
    ///
    /// [`IdsExhausted`] at 2^31.
    pub const fn take(&mut self) -> Result<PrekeyId, IdsExhausted> {
        if self.next >= Self::END {
            return Err(IdsExhausted);
        }
        let id = PrekeyId::new(self.next);
        self.next += 1;
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_an_error_not_a_repetition() {
        let mut ids = PrekeyIds::resume(PrekeyId::new((1 << 31) - 1));
        assert!(ids.take().is_ok());
        assert_eq!(ids.take(), Err(IdsExhausted));
        assert_eq!(ids.take(), Err(IdsExhausted));
        assert_eq!(PrekeyIds::resume(PrekeyId::new(u32::MAX)).take(), Err(IdsExhausted));
    }
}
