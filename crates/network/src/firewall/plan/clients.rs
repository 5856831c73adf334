//! Published ports that are served in user space by a process which takes its client's address (`IP_TRANSPARENT`), so
//! that the container sees who asks. Answers are addressed to the client, and must come back to that process: its
//! connections are marked, what arrives of them takes the mark, and a routing rule delivers that here
//! ([`crate::route::lead_clients_here`]).

use super::{Action, Chain, Match, Place, Rule, rule};

/// Adds what brings such answers back.
pub(crate) fn keep(mut chains: Vec<Chain>) -> Vec<Chain> {
    if let Some(output) = chains.iter_mut().find(|chain| chain.at == Place::Output) {
        output.rules.insert(0, rule([Match::FromElsewhere], Action::MarkConnection));
    }
    chains.push(Chain { at: Place::Returning, rules: vec![returning()] });
    chains
}

fn returning() -> Rule {
    rule([Match::OfClient], Action::Mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_send_in_a_clients_name_is_marked_before_all_else() {
        let chains = keep(super::super::chains(&[]));
        let output = chains.iter().find(|chain| chain.at == Place::Output).expect("chain");
        assert_eq!(output.rules[0], rule([Match::FromElsewhere], Action::MarkConnection));
        assert_eq!(chains.last().map(|chain| chain.at), Some(Place::Returning));
    }
}
