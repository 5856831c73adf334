//! What belongs to a port.

use super::canonical;

/// Stands behind the first of many host ports.
const ON: char = '+';

/// A host address and port that lead to a port.
pub trait Binding: Clone {
    /// The address.
    fn host_ip(&self) -> &str;
    /// The port, a range to choose one from, or nothing.
    fn host_port(&self) -> &str;
    /// The same with another port.
    #[must_use]
    fn with_port(&self, host_port: String) -> Self;
}

/// A binding for many ports, the first of which is on the host port of this one.
pub fn many<B: Binding>(first: &B) -> B {
    first.with_port(format!("{}{ON}", first.host_port()))
}

/// The first host port of a binding that stands for many.
pub fn first_of_many(binding: &impl Binding) -> Option<u16> {
    binding.host_port().strip_suffix(ON)?.parse().ok()
}

/// What belongs to a port, and to many in a row.
pub trait Value: Clone {
    /// Whether `other` is this, so many ports on.
    fn goes_on(&self, other: &Self, distance: u16) -> bool;
    /// That of many ports, the first of which has this one.
    #[must_use]
    fn of_many(&self) -> Self;
    /// This one, so many ports on.
    #[must_use]
    fn moved(&self, distance: u16) -> Self;
    /// Whether it may be that of many ports.
    fn is_of_many(&self) -> bool;
    /// What is written as only we write.
    fn ours(&self) -> Option<&str>;
    /// This and that of the same port under another name.
    #[must_use]
    fn with(self, other: Self) -> Self;
}

impl Value for () {
    fn goes_on(&self, (): &Self, _distance: u16) -> bool {
        true
    }

    fn of_many(&self) -> Self {}

    fn moved(&self, _distance: u16) -> Self {}

    fn is_of_many(&self) -> bool {
        true
    }

    fn ours(&self) -> Option<&str> {
        None
    }

    fn with(self, (): Self) -> Self {}
}

impl<B: Binding> Value for Vec<B> {
    fn goes_on(&self, other: &Self, distance: u16) -> bool {
        let follows = |(a, b): (&B, &B)| {
            let on = canonical(a.host_port()).and_then(|port| port.checked_add(distance));
            a.host_ip() == b.host_ip() && on.is_some() && on == canonical(b.host_port())
        };
        self.len() == other.len() && self.iter().zip(other).all(follows)
    }

    fn of_many(&self) -> Self {
        self.iter().map(many).collect()
    }

    fn moved(&self, distance: u16) -> Self {
        let moved = |binding: &B| match first_of_many(binding).or_else(|| canonical(binding.host_port())) {
            Some(first) => binding.with_port(first.saturating_add(distance).to_string()),
            None => binding.clone(),
        };
        self.iter().map(moved).collect()
    }

    fn is_of_many(&self) -> bool {
        self.iter().all(|binding| binding.host_port().ends_with(ON))
    }

    fn ours(&self) -> Option<&str> {
        self.iter().map(Binding::host_port).find(|port| port.contains(ON))
    }

    fn with(mut self, other: Self) -> Self {
        self.extend(other);
        self
    }
}

impl<V: Value> Value for Option<V> {
    fn goes_on(&self, other: &Self, distance: u16) -> bool {
        match (self, other) {
            (Some(a), Some(b)) => a.goes_on(b, distance),
            (a, b) => a.is_none() && b.is_none(),
        }
    }

    fn of_many(&self) -> Self {
        self.as_ref().map(Value::of_many)
    }

    fn moved(&self, distance: u16) -> Self {
        self.as_ref().map(|value| value.moved(distance))
    }

    fn is_of_many(&self) -> bool {
        self.as_ref().is_none_or(Value::is_of_many)
    }

    fn ours(&self) -> Option<&str> {
        self.as_ref().and_then(Value::ours)
    }

    fn with(self, other: Self) -> Self {
        match (self, other) {
            (Some(a), Some(b)) => Some(a.with(b)),
            (a, b) => a.or(b),
        }
    }
}
