use crate::report::{MAX_ITEMS, MAX_PARTS_LEN, MAX_REPORT_LEN};

/// How much of a report is looked at, and how exact its times have to be.
///
/// # Examples
///
/// ```
/// use subrosa::platform::ReportLimits;
/// assert_eq!(ReportLimits::default().max_items, 1000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportLimits {
    /// Most messages: 1,000.
    pub max_items: usize,
    /// Longest report, in bytes: 16 MiB.
    pub max_report_len: usize,
    /// Longest part, in bytes: 1 MiB, as long as a receiver accepts. Less would let messages through that cannot be
    /// reported.
    pub max_part_len: usize,
    /// How far a sender's clock may be from the platform's before [`Finding::TimeAnomaly`](super::Finding::TimeAnomaly), in
    /// milliseconds: 10 minutes.
    pub skew_ms: u64,
    /// How much later than a message that had seen it one may be stamped before
    /// [`Finding::LateStamp`](super::Finding::LateStamp), in milliseconds: a minute.
    pub late_tolerance_ms: u64,
}

impl Default for ReportLimits {
    fn default() -> Self {
        Self {
            max_items: MAX_ITEMS,
            max_report_len: MAX_REPORT_LEN,
            max_part_len: MAX_PARTS_LEN,
            skew_ms: 10 * 60_000,
            late_tolerance_ms: 60_000,
        }
    }
}
