//! Numbers that are dates or timestamps: `20240131` is followed by `20240201`, not by `20240132`.

/// One field of a moment: its digits and its least value.
const FIELDS: [(usize, u32); 6] = [(4, 1970), (2, 1), (2, 1), (2, 0), (2, 0), (2, 0)];
const LAST_YEAR: u32 = 2099;

/// The moment after `digits`: the next day of `YYYYMMDD`, the next minute of `YYYYMMDDhhmm`, the next second
/// of `YYYYMMDDhhmmss`. `None` for digits that are no moment from 1970 to 2099, and for the last one.
pub(super) fn next(digits: &str) -> Option<String> {
    let mut moment = read(digits)?;
    for at in (0..moment.len()).rev() {
        if moment[at] < greatest(at, &moment) {
            moment[at] += 1;
            return Some(write(&moment));
        }
        moment[at] = FIELDS[at].1;
    }
    None
}

/// Whether the digits are a moment.
pub(super) fn is_moment(digits: &str) -> bool {
    read(digits).is_some()
}

fn read(digits: &str) -> Option<Vec<u32>> {
    let fields = match digits.len() {
        8 => 3,
        12 => 5,
        14 => 6,
        _ => return None,
    };
    let mut moment = Vec::with_capacity(fields);
    let mut rest = digits;
    for (width, _) in &FIELDS[..fields] {
        let (field, after) = rest.split_at_checked(*width)?;
        moment.push(field.parse().ok()?);
        rest = after;
    }
    let sound = moment
        .iter()
        .enumerate()
        .all(|(at, value)| (FIELDS[at].1..=greatest(at, &moment)).contains(value));
    sound.then_some(moment)
}

fn write(moment: &[u32]) -> String {
    let fields = moment.iter().zip(FIELDS);
    fields
        .map(|(value, (width, _))| format!("{value:0width$}"))
        .collect()
}

/// The greatest value of a field, of a moment whose year and month stand.
fn greatest(at: usize, moment: &[u32]) -> u32 {
    match at {
        0 => LAST_YEAR,
        1 => 12,
        2 => days(moment[0], moment[1]),
        3 => 23,
        _ => 59,
    }
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}
