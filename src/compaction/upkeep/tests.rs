//! The promises of the module's doc, held against a naive model and over years of nights.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::policy::Policies;

const MB: u64 = 1_000_000;
const TARGET: u64 = 256 * MB;

fn day(number: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, number).unwrap()
}

fn files_of(number: u32, sizes: &[u64]) -> Vec<DataFile> {
    let sizes = sizes.iter().enumerate();
    sizes
        .map(|(index, size)| DataFile {
            path: format!("event_date={}/part-{index}", day(number)),
            event_date: day(number),
            size: *size,
            rows: 1,
        })
        .collect()
}

/// The sizes that are folded of a day with files of these sizes.
fn folded(sizes: &[u64]) -> Vec<u64> {
    let groups = groups(&files_of(1, sizes), TARGET);
    assert!(groups.len() <= 1, "one group a day");
    let files = groups.into_iter().flat_map(|group| group.files);
    files.map(|file| file.size).collect()
}

#[test]
fn four_files_of_a_tier_are_folded_and_three_are_not() {
    assert_eq!(folded(&[]), [0; 0]);
    assert_eq!(folded(&[3 * MB, MB, 2 * MB]), [0; 0]);
    assert_eq!(
        folded(&[3 * MB, MB, 2 * MB, 4 * MB]),
        [MB, 2 * MB, 3 * MB, 4 * MB]
    );
    // Half of the target is no small file.
    assert_eq!(folded(&[128 * MB; 8]), [0; 0]);
    assert_eq!(folded(&[127 * MB; 4]), [127 * MB; 4]);
}

#[test]
fn a_large_file_is_not_rewritten_for_a_little_late_data() {
    assert_eq!(folded(&[100 * MB, 30_000, 30_000, 30_000]), [0; 0]);
    assert_eq!(
        folded(&[100 * MB, 30_000, 30_000, 30_000, 30_000]),
        [30_000; 4]
    );
    // Four times the small ones is the most.
    assert_eq!(folded(&[12 * MB, MB, MB, MB]), [MB, MB, MB, 12 * MB]);
    assert_eq!(folded(&[12 * MB + 1, MB, MB, MB]), [0; 0]);
}

#[test]
fn what_lies_below_a_folded_tier_goes_with_it() {
    assert_eq!(
        folded(&[30 * MB, 30 * MB, 10_000, 30 * MB, 30 * MB, 10_000]),
        [10_000, 10_000, 30 * MB, 30 * MB, 30 * MB, 30 * MB]
    );
}

#[test]
fn days_do_not_mix() {
    let mut files = files_of(1, &[MB; 3]);
    files.extend(files_of(2, &[MB; 3]));
    assert_eq!(groups(&files, TARGET), []);
    files.extend(files_of(3, &[MB; 4]));
    let groups = groups(&files, TARGET);
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0].day, day(3));
}

#[test]
fn files_come_out_near_the_target() {
    let table = [
        (0, 1),
        (TARGET, 1),
        (383 * MB, 1),
        (384 * MB, 2),
        (512 * MB, 2),
        (1_000 * MB, 4),
    ];
    for (bytes, expected) in table {
        assert_eq!(outputs(bytes, TARGET), expected, "{bytes}");
    }
}

/// Another way to say the rule: the longest run of smallest files whose last four have no step between
/// them that is larger than four times what lies below.
fn naive(sizes: &[u64]) -> Vec<u64> {
    let mut small: Vec<u64> = sizes
        .iter()
        .copied()
        .filter(|size| size * 2 < TARGET)
        .collect();
    small.sort_unstable();
    let is_step = |index: usize| small[index] > 4 * small[..index].iter().sum::<u64>();
    for length in (4..=small.len()).rev() {
        if !(length - 3..length).any(is_step) {
            return small[..length].to_vec();
        }
    }
    Vec::new()
}

/// What folding leaves of a day: `keep` thousandths of the bytes, in files at most the last of which is
/// small.
fn fold(sizes: &[u64], keep: u64) -> (Vec<u64>, u64) {
    let gone = folded(sizes);
    let mut left = sizes.to_vec();
    for size in &gone {
        let position = left.iter().position(|other| other == size).unwrap();
        left.swap_remove(position);
    }
    if gone.is_empty() {
        return (left, 0);
    }
    let bytes = (gone.iter().sum::<u64>() * keep / 1000).max(1);
    let mut rest = bytes;
    while rest * 2 >= TARGET * 3 {
        left.push(TARGET);
        rest -= TARGET;
    }
    left.push(rest);
    (left, bytes)
}

fn sizes() -> impl Strategy<Value = Vec<u64>> {
    let size = prop_oneof![1..100_u64, 1..100_000_u64, 1..50 * MB, 1..300 * MB];
    vec(size, 0..60)
}

proptest! {
    #[test]
    fn groups_are_those_of_the_naive_model(sizes in sizes()) {
        prop_assert_eq!(folded(&sizes), naive(&sizes));
    }

    #[test]
    fn planning_again_yields_nothing_however_well_it_compressed(
        sizes in sizes(),
        keep in 1..=1000_u64,
    ) {
        let (left, _) = fold(&sizes, keep);
        prop_assert_eq!(folded(&left), Vec::<u64>::new());
    }

    #[test]
    fn few_small_files_stay(sizes in sizes()) {
        let (left, _) = fold(&sizes, 1000);
        let small = left.iter().filter(|size| **size * 2 < TARGET).count();
        prop_assert!(small <= most_small(1), "{} small files", small);
    }

    #[test]
    fn years_of_late_data_cost_little(
        nights in vec(prop_oneof![0..1_u64, 10_000..40_000_u64, 10_000..4 * MB], 365),
        first in prop_oneof![Just(0_u64), MB..500 * MB],
    ) {
        let nights: Vec<u64> = std::iter::once(first).chain(nights).collect();
        let year = Year::of(&nights);
        prop_assert!(year.most_small <= most_small(10_000));
        // A byte is rewritten at most log(target / size of its first file) / log(5/4) times; the largest
        // files, which bring most bytes, far less often.
        let most = (TARGET as f64 / 10_000.0).ln() / 1.25_f64.ln();
        prop_assert!(year.rewritten as f64 <= most * year.came as f64);
    }
}

/// The bound of the module's doc for files of at least `size` bytes.
fn most_small(size: u64) -> usize {
    let mut tiers = 1;
    let mut sum = size;
    while sum * 5 <= TARGET {
        sum *= 5;
        tiers += 1;
    }
    3 * tiers
}

/// What becomes of a day that gets a file a night.
struct Year {
    came: u64,
    rewritten: u64,
    most_small: usize,
    folds: usize,
    left: Vec<u64>,
}

impl Year {
    fn of(nights: &[u64]) -> Self {
        let mut year = Self {
            came: 0,
            rewritten: 0,
            most_small: 0,
            folds: 0,
            left: Vec::new(),
        };
        for came in nights.iter().filter(|came| **came > 0) {
            year.came += came;
            year.left.push(*came);
            let (left, rewritten) = fold(&year.left, 1000);
            year.folds += usize::from(rewritten > 0);
            year.rewritten += rewritten;
            year.left = left;
            let small = year.left.iter().filter(|size| **size * 2 < TARGET).count();
            year.most_small = year.most_small.max(small);
        }
        year
    }
}

#[test]
fn a_small_file_a_night_for_a_year() {
    let year = Year::of(&[30_000; 365]);
    assert!(year.most_small <= 6, "{}", year.most_small);
    assert!(
        year.rewritten <= 10 * year.came,
        "{}",
        year.rewritten / year.came
    );
    assert!(year.folds < 150, "{}", year.folds);

    // Late data of a day that has a good file already: that one is never touched.
    let mut nights = vec![127 * MB];
    nights.extend([30_000; 365]);
    let late = Year::of(&nights);
    assert_eq!(late.rewritten, year.rewritten);
    assert!(late.left.contains(&(127 * MB)));
}

fn policy() -> DatasetPolicy {
    let lake = "version: 1\nlake: s3://lake/\nkey: { env: KEY }\n";
    let cart = "version: 1\ndataset: cart\nraw: { location: s3://cart/ }\nevents: { time: t }\n\
                table: { sort_by: [u], target_file_size: 256 MB }\nretention: { keep: 2 years }\npii: none\n";
    let files = [("lake.yaml", lake), ("datasets/cart.yaml", cart)];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
    Policies::parse(&files).unwrap().datasets.remove(0)
}

#[test]
fn a_step_says_what_it_folds() {
    let mut files = files_of(1, &[MB; 4]);
    files.extend(files_of(2, &[2 * MB; 4]));
    files.extend(files_of(3, &[2 * MB; 3]));
    let step = plan(&policy(), &files, day(1), Earlier::default()).unwrap();
    assert_eq!(
        step.why,
        "fold 8 small files of 2 days of cart into 2 (12 MB): queries open fewer files"
    );
    // What leaves by age tonight is not folded first.
    let step = plan(&policy(), &files, day(2), Earlier::default()).unwrap();
    assert_eq!(
        step.why,
        "fold 4 small files of 1 day of cart into 1 (8000 kB): queries open fewer files"
    );
    let Action::Fold(fold) = step.action else {
        panic!("not a fold");
    };
    assert_eq!(fold.files.len(), 4);
    assert_eq!(fold.after, [""; 0]);
    assert_eq!(plan(&policy(), &files, day(3), Earlier::default()), None);
}

#[test]
fn a_step_waits_for_earlier_ones_only_where_they_may_bring_something() {
    let compact = ["compact-cart-1".to_owned()];
    let planned = |sizes: &[u64], earlier| plan(&policy(), &files_of(1, sizes), day(1), earlier);
    let compacting = Earlier {
        compactions: &compact,
        erasure: None,
    };
    let erasing = Earlier {
        compactions: &[],
        erasure: Some("erase-cart"),
    };
    assert_eq!(planned(&[], compacting), None);
    assert_eq!(planned(&[MB, 2 * MB, 200 * MB, 200 * MB], compacting), None);
    let step = planned(&[MB, 2 * MB, 3 * MB], compacting).unwrap();
    assert_eq!(
        step.why,
        "fold the small files of cart where the steps above make a day come to 4 alike"
    );
    let Action::Fold(fold) = step.action else {
        panic!("not a fold");
    };
    assert_eq!((fold.after, fold.files), (compact.to_vec(), Vec::new()));
    // Files without a subject's rows are smaller than they were.
    assert_eq!(planned(&[MB, 200 * MB, 200 * MB], erasing), None);
    assert!(planned(&[MB, 2 * MB, 200 * MB, 200 * MB], erasing).is_some());
}
