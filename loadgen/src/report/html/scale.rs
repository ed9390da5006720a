//! Places of values along an axis, and the values that are marked there. Whatever comes in, no position is
//! NaN.

/// An axis' range; `low` is below `high`, and above zero where it is logarithmic.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Scale {
    /// A scale that runs exactly from `low` to `high`.
    pub fn exact(low: f64, high: f64) -> Self {
        let low = if low.is_finite() { low } else { 0.0 };
        let high = if high.is_finite() && high > low {
            high
        } else {
            low + 1.0
        };
        Scale {
            low,
            high,
            logarithmic: false,
        }
    }

    /// A scale that runs from zero to a round number above all `values`, and at least to `least`.
    pub fn from_zero(values: impl Iterator<Item = f64>, least: f64) -> Self {
        let high = values.filter(|value| value.is_finite()).fold(least, f64::max);
        let step = step(high / TICKS_WANTED);
        Scale::exact(0.0, (high / step).ceil() * step)
    }

    /// Between numbers of the form 1, 2, 5 × 10ⁿ around all `values` that are above zero.
    pub fn logarithmic(values: impl Iterator<Item = f64> + Clone) -> Self {
        let positive = values.filter(|value| value.is_finite() && *value > 0.0);
        let low = positive.clone().fold(f64::INFINITY, f64::min);
        let high = positive.fold(0.0, f64::max);
        if high <= 0.0 {
            return Scale {
                low: 1.0,
                high: 1000.0,
                logarithmic: true,
            };
        }
        let low = ladder(low)
            .filter(|mark| *mark <= low * CLOSE)
            .fold(0.0, f64::max);
        let high = ladder(high)
            .filter(|mark| *mark >= high / CLOSE)
            .fold(f64::INFINITY, f64::min);
        Scale {
            low,
            high: if high > low { high } else { low * 10.0 },
            logarithmic: true,
        }
    }

    /// Logarithmic where the values differ by much, else from zero.
    pub fn fitting(values: impl Iterator<Item = f64> + Clone) -> Self {
        let positive = values.clone().filter(|value| value.is_finite() && *value > 0.0);
        let low = positive.clone().fold(f64::INFINITY, f64::min);
        let high = positive.fold(0.0, f64::max);
        if high > MUCH * low {
            Scale::logarithmic(values)
        } else {
            Scale::from_zero(values, 0.0)
        }
    }

    /// Between 0 and 1; `None` for what is no number. What lies outside is put on the edge.
    pub fn place(&self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return None;
        }
        let value = value.clamp(self.low, self.high);
        let share = if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        share.is_finite().then_some(share)
    }

    /// The values to mark, in order; not many more than `wanted`.
    pub fn ticks(&self, wanted: f64) -> Vec<f64> {
        if self.logarithmic {
            return self.logarithmic_ticks(wanted);
        }
        let step = step((self.high - self.low) / wanted);
        let (first, last) = ((self.low / step).ceil(), (self.high / step + 1e-9).floor());
        let count = (last - first).clamp(0.0, 100.0) as u32;
        (0..=count)
            .map(|index| (first + f64::from(index)) * step)
            .collect()
    }

    fn logarithmic_ticks(&self, wanted: f64) -> Vec<f64> {
        let marks: Vec<f64> = (-12..=15)
            .flat_map(|exponent| ROUND.map(|digit| digit * 10_f64.powi(exponent)))
            .filter(|mark| *mark >= self.low / CLOSE && *mark <= self.high * CLOSE)
            .collect();
        if marks.len() as f64 <= 2.0 * wanted {
            return marks;
        }
        let decade = |mark: &f64| (mark.log10() - mark.log10().round()).abs() < 1e-6;
        let decades: Vec<f64> = marks.into_iter().filter(decade).collect();
        let every = (decades.len() as f64 / (wanted + 2.0)).ceil().max(1.0) as usize;
        decades.into_iter().step_by(every).collect()
    }
}

/// The marks of the decades around `value`.
fn ladder(value: f64) -> impl Iterator<Item = f64> {
    let exponent = value.log10().floor().clamp(-300.0, 300.0) as i32;
    (exponent - 1..=exponent + 1).flat_map(|exponent| ROUND.map(|digit| digit * 10_f64.powi(exponent)))
}

/// The round number at or above `rough`.
fn step(rough: f64) -> f64 {
    if !rough.is_finite() || rough <= 0.0 {
        return 1.0;
    }
    ladder(rough)
        .filter(|mark| *mark >= rough / CLOSE)
        .fold(f64::INFINITY, f64::min)
}

const ROUND: [f64; 3] = [1.0, 2.0, 5.0];
const MUCH: f64 = 8.0;
const TICKS_WANTED: f64 = 4.0;
const CLOSE: f64 = 1.000_001;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        let scale = Scale::from_zero([3.0, 870.0].into_iter(), 0.0);
        assert_eq!((scale.low, scale.high), (0.0, 1000.0));
        assert_eq!(scale.ticks(4.0), [0.0, 500.0, 1000.0]);
        assert_eq!(scale.ticks(5.0), [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]);
        let scale = Scale::logarithmic([130.0, 4_200.0].into_iter());
        assert!(
            (scale.low - 100.0).abs() < 1e-6 && (scale.high - 5000.0).abs() < 1e-6,
            "{scale:?}"
        );
        assert_eq!(scale.ticks(4.0).len(), 6);
    }

    #[test]
    fn places_run_from_zero_to_one() {
        let linear = Scale::exact(-2.0, 8.0);
        assert_eq!(
            (linear.place(-2.0), linear.place(3.0), linear.place(99.0)),
            (Some(0.0), Some(0.5), Some(1.0))
        );
        let log = Scale::logarithmic([1.0, 100.0].into_iter());
        assert!((log.place(10.0).unwrap() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn no_values_and_odd_values_make_an_axis_all_the_same() {
        let odd = [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300, 1e-300, f64::MAX];
        for values in [&odd[..], &odd[..1], &odd[3..4], &odd[4..], &[]] {
            let values = values.iter().copied();
            for scale in [
                Scale::logarithmic(values.clone()),
                Scale::from_zero(values.clone(), 0.0),
                Scale::exact(values.clone().next().unwrap_or(0.0), f64::NAN),
            ] {
                for value in odd {
                    assert!(
                        scale
                            .place(value)
                            .is_none_or(|place| (0.0..=1.0).contains(&place)),
                        "{scale:?} {value}"
                    );
                }
                assert!(
                    scale.ticks(4.0).len() < 200 && scale.ticks(4.0).iter().all(|tick| tick.is_finite()),
                    "{scale:?}"
                );
            }
        }
    }
}
