//! Much at once: a thousand containers, hundreds of clients, thousands of kills. Small here, as large as is asked for by
//! `cargo xtask storm chaos | thousand | api`.

mod api;
mod chaos;
mod client;
#[path = "../suite/dice.rs"]
mod dice;
mod gauge;
mod thousand;

/// Numbers from a variable, `A,B,…`; those that are not given are the ones of the suite.
fn asked<const N: usize>(variable: &str, suite: [u64; N]) -> anyhow::Result<[u64; N]> {
    let text = std::env::var(variable).unwrap_or_default();
    let mut numbers = suite;
    for (slot, given) in numbers.iter_mut().zip(text.split(',').filter(|text| !text.is_empty())) {
        *slot = given.trim().parse()?;
    }
    Ok(numbers)
}

/// A number that differs each time: a storm's seed, which it prints.
fn any_seed() -> u64 {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    clock.map_or(1, |time| u64::from(time.subsec_nanos()))
}

#[expect(clippy::disallowed_methods, reason = "the storms' own rhythm: it waits for nothing")]
fn pause(time: std::time::Duration) {
    std::thread::sleep(time);
}
