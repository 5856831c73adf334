//! "Did you mean": the nearest of a few known words.

/// `did you mean NAME?` for the one of `known` that is near enough to `written`, whatever the case of letters.
pub(crate) fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(written, known).map(|name| format!("did you mean {name}?"))
}

/// The one of `known` that is near enough to `written`.
pub(crate) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    if written.len() > 64 {
        return None;
    }
    let lower = written.to_lowercase();
    let allowed = (lower.chars().count() / 3).clamp(1, 3);
    let (distance, name) = known
        .into_iter()
        .map(|name| (distance(&lower, &name.to_lowercase()), name))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= allowed).then(|| name.to_owned())
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &left) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &right) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(left != right)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && left == b[j - 1] && a[i - 1] == right {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_proposed_and_far_ones_are_not() {
        let known = ["COPY", "CMD", "RUN"];
        assert_eq!(did_you_mean("COPPY", known).as_deref(), Some("did you mean COPY?"));
        assert_eq!(did_you_mean("ocpy", known).as_deref(), Some("did you mean COPY?"));
        assert_eq!(did_you_mean("EXPLODE", known), None);
        assert_eq!(did_you_mean("", known), None);
    }
}
