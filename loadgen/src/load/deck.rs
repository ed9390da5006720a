//! The order in which entries of the mix come.
//!
//! A deck has as many cards of each entry as its weight, in lowest terms; when it is used up it is shuffled
//! anew. So the shares are exact after every deck, and the order has no period in which clients and entries
//! could fall into step. The same seed gives the same order.

/// Cards with the numbers of entries, drawn one for each operation.
pub struct Deck {
    cards: Vec<usize>,
    next: usize,
    random: fastrand::Rng,
}

impl Deck {
    /// The weights of the entries, in their order.
    pub fn new(weights: impl Iterator<Item = u32> + Clone, seed: u64) -> Self {
        let divisor = weights.clone().fold(0, gcd).max(1);
        let cards = weights
            .enumerate()
            .flat_map(|(entry, weight)| std::iter::repeat_n(entry, (weight / divisor) as usize))
            .collect();
        Deck {
            cards,
            next: 0,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// The entry of the next operation.
    pub fn draw(&mut self) -> usize {
        if self.next == 0 && self.cards.len() > 1 {
            self.random.shuffle(&mut self.cards);
        }
        let card = self.cards.get(self.next).copied().unwrap_or(0);
        self.next = (self.next + 1) % self.cards.len().max(1);
        card
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(weights: &[u32], seed: u64, count: usize) -> Vec<usize> {
        let mut deck = Deck::new(weights.iter().copied(), seed);
        (0..count).map(|_| deck.draw()).collect()
    }

    fn share(draws: &[usize], entry: usize) -> usize {
        draws.iter().filter(|&&draw| draw == entry).count()
    }

    #[test]
    fn shares_are_exact_after_each_deck() {
        for round in 1..20 {
            let draws = draws(&[70, 20, 10], 7, round * 10);
            let shares = [0, 1, 2].map(|entry| share(&draws, entry));
            assert_eq!(shares, [7 * round, 2 * round, round]);
        }
    }

    #[test]
    fn an_entry_without_weight_is_never_drawn() {
        assert_eq!(share(&draws(&[3, 0, 1], 1, 400), 1), 0);
    }

    #[test]
    fn the_order_follows_the_seed_and_has_no_period() {
        let (one, other) = (draws(&[1, 1, 1, 1], 1, 400), draws(&[1, 1, 1, 1], 2, 400));
        assert_eq!(one, draws(&[1, 1, 1, 1], 1, 400));
        assert_ne!(one, other);
        assert!(one.chunks(4).any(|deck| deck != &one[..4]));
    }
}
