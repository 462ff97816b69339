//! Who belongs to a subject, and which rows are theirs: links are followed from event to event, over all
//! tables, until they lead to nothing new (invariant 8). All pending requests share the passes.
//!
//! Hazard: an id that many people share leads to all of them. So an event that names somebody else is not
//! followed (see [`Roster`]), and a subject that reaches more ids or rows than the policy allows is left
//! to a person to decide about.
//!
//! People whom holds are on are looked for in the same passes, and those whose requests a person has put on
//! hold: a request that would take what is theirs waits.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use object_store::ObjectStore;

use super::request::{OpenRequest, Reached, Waiting};
use crate::lake::facts::{Facts, Places};
use crate::lake::hold::HeldPeople;
use crate::lake::search::{FileHits, search};
use crate::lake::subject::{Identifier, Roster, Subject};
use crate::lake::tables::{DataFile, TableError};
use crate::policy::{ErasurePolicy, PiiPolicy, Policies, S3Location};

/// A table to look through.
pub struct Searched<'a> {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: S3Location,
    /// Where identifiers stand in it.
    pub pii: &'a PiiPolicy,
    /// Its live files.
    pub files: Vec<DataFile>,
    /// Those that have not been looked through for what is known of the subjects.
    pub fresh: Vec<DataFile>,
}

/// All tables that hold identifiers, with the files that `facts` know, none looked through yet.
pub fn tables<'a>(policies: &'a Policies, facts: &Facts) -> Vec<Searched<'a>> {
    let places = Places::new(&policies.lake.location);
    let events = policies
        .datasets
        .iter()
        .map(|policy| (&policy.name, places.events(&policy.name), &policy.pii));
    let curated = policies
        .curated
        .iter()
        .map(|policy| (&policy.table, places.curated(&policy.table), &policy.pii));
    let mut tables = Vec::new();
    for (name, folder, pii) in events.chain(curated) {
        let files = facts.table(name).map(|table| table.files.clone());
        let files = files.filter(|files| !files.is_empty() && !pii.fields().is_empty());
        if let Some(files) = files {
            tables.push(Searched {
                name: name.clone(),
                folder,
                pii,
                fresh: files.clone(),
                files,
            });
        }
    }
    tables
}

/// What was found of all subjects.
#[derive(Debug, Default)]
pub struct Reach {
    /// By table: the files with rows of a subject.
    pub tables: BTreeMap<String, Vec<FileHits>>,
    /// The same of people whom holds are on.
    pub held: BTreeMap<String, Vec<FileHits>>,
    /// By number of the subject: what they would lose, by table, also where that is left to a person.
    found: Vec<BTreeMap<String, Reached>>,
    /// By request: why it is left to a person.
    pub left_out: BTreeMap<String, Waiting>,
}

impl Reach {
    /// What the subject of this number would lose, by table, also where that is left to a person.
    pub fn of(&self, number: usize) -> &BTreeMap<String, Reached> {
        static NOTHING: BTreeMap<String, Reached> = BTreeMap::new();
        self.found.get(number).unwrap_or(&NOTHING)
    }

    fn count(&self, number: usize) -> BTreeMap<String, Reached> {
        let mut reached: BTreeMap<String, Reached> = BTreeMap::new();
        for (name, files) in &self.tables {
            for file in files {
                let hits = file.groups.values().flatten();
                let rows = hits.filter(|hit| hit.subject as usize == number).count() as u64;
                if rows > 0 {
                    let table = reached.entry(name.clone()).or_default();
                    table.rows += rows;
                    table.days.insert(file.file.event_date);
                }
            }
        }
        reached
    }

    /// Forgets the rows of subjects that are left out, so that they stay.
    fn drop_subjects(&mut self, numbers: &BTreeSet<u32>) {
        for files in self.tables.values_mut() {
            *files = narrowed(files, |subject| !numbers.contains(&subject));
        }
    }

    /// Takes the rows of subjects of the numbers `held`, and of all after them, whom requests on hold are
    /// about, out of the others'. Answers with the others of whom a row is also theirs: by number, whose.
    fn part_held(&mut self, held: Range<u32>) -> BTreeMap<u32, u32> {
        let first = held.start;
        let mut shared = BTreeMap::new();
        for (name, files) in &mut self.tables {
            for hits in files.iter().flat_map(|file| file.groups.values()) {
                for same_row in hits.chunk_by(|one, other| one.row == other.row) {
                    let Some(keeper) = same_row.iter().find(|hit| hit.subject >= first) else {
                        continue;
                    };
                    let others = same_row.iter().filter(|hit| hit.subject < first);
                    shared.extend(others.map(|hit| (hit.subject, keeper.subject)));
                }
            }
            let theirs = narrowed(files, |subject| held.contains(&subject));
            self.held.insert(name.clone(), theirs);
            *files = narrowed(files, |subject| subject < first);
        }
        shared
    }
}

/// The hits of some subjects; a group that had none before stays, for its dictionary.
fn narrowed(files: &[FileHits], is_meant: impl Fn(u32) -> bool) -> Vec<FileHits> {
    let mut narrowed = files.to_vec();
    for file in &mut narrowed {
        file.groups.retain(|_, hits| {
            let had_none = hits.is_empty();
            hits.retain(|hit| is_meant(hit.subject));
            had_none || !hits.is_empty()
        });
    }
    narrowed.retain(|file| !file.groups.is_empty());
    narrowed
}

/// Follows the links of `requests` and of `held` people until they lead to nothing new; both get what was
/// found.
pub async fn close(
    store: &Arc<dyn ObjectStore>,
    policy: &ErasurePolicy,
    tables: &[Searched<'_>],
    requests: &mut [&mut OpenRequest],
    held: &mut HeldPeople,
) -> Result<Reach, TableError> {
    let mut subjects: Vec<Subject> = requests.iter().map(|open| open.subject(policy)).collect();
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let first_held = number(subjects.len());
    subjects.extend(held.subjects.iter().cloned());
    let held_numbers = first_held..number(subjects.len());
    subjects.extend(held.asked.iter().map(|(_, subject)| subject.clone()));
    let mut reach = Reach::default();
    let mut too_many: BTreeSet<u32> = BTreeSet::new();
    let known = subjects
        .iter()
        .flat_map(|subject| subject.named.iter().chain(&subject.linked));
    let mut sought: BTreeSet<Identifier> = known.cloned().collect();
    let mut is_first = true;
    while !sought.is_empty() {
        let mut new = BTreeSet::new();
        for table in tables {
            let files = if is_first { &table.fresh } else { &table.files };
            let roster = Arc::new(Roster::new(table.pii, &subjects));
            let values = Arc::new(roster.sought(&sought));
            let found = search(store, &table.folder, files, &roster, &values).await?;
            merge(
                reach.tables.entry(table.name.clone()).or_default(),
                found.files,
            );
            for (number, id) in found.links {
                let Some(subject) = subjects.get_mut(number) else {
                    continue;
                };
                if !subject.named.contains(&id) && subject.linked.insert(id.clone()) {
                    new.insert(id);
                }
            }
        }
        for (number, subject) in (0..).zip(&subjects) {
            let may_go_on = held_numbers.contains(&number)
                || subject.linked.len() as u64 <= policy.max_linked_ids;
            if !may_go_on && too_many.insert(number) {
                new.retain(|id| !subject.linked.contains(id));
            }
        }
        sought = new;
        is_first = false;
    }
    let mut kept = subjects.split_off(requests.len());
    kept.truncate(held.subjects.len());
    held.subjects = kept;
    let shared = reach.part_held(held_numbers);
    reach.found = (0..requests.len())
        .map(|number| reach.count(number))
        .collect();
    for (number, (open, subject)) in (0..).zip(requests.iter_mut().zip(subjects)) {
        let in_same_row = shared.get(&number).map(|keeper| keeper - first_held);
        let keeper = in_same_row.and_then(|keeper| waiting_for(held, keeper as usize));
        let keeper = keeper.or_else(|| waiting_for_same(held, &subject));
        let found = reach.of(number as usize);
        // What earlier passes found is not looked through again.
        open.known_rows += found.values().map(|table| table.rows).sum::<u64>();
        open.waiting = keeper.or_else(|| excess(open, &subject, policy));
        if let Some(why) = &open.waiting {
            reach.left_out.insert(open.request.id.clone(), why.clone());
            too_many.insert(number);
        } else {
            open.linked = subject.linked;
        }
    }
    reach.drop_subjects(&too_many);
    Ok(reach)
}

/// Why a request waits for what is the `number`th held person's, those with requests on hold after the others.
fn waiting_for(held: &HeldPeople, number: usize) -> Option<Waiting> {
    if let Some(id) = held.holds.get(number) {
        return Some(Waiting::Hold { hold: id.clone() });
    }
    let (id, _) = held.asked.get(number - held.holds.len())?;
    Some(Waiting::Request {
        request: id.clone(),
    })
}

/// Why a request waits for a held person whom an identifier names that names `subject` too.
fn waiting_for_same(held: &HeldPeople, subject: &Subject) -> Option<Waiting> {
    let asked = held.asked.iter().map(|(_, subject)| subject);
    let mut people = held.subjects.iter().chain(asked);
    let number = people.position(|one| !one.named.is_disjoint(&subject.named))?;
    waiting_for(held, number)
}

fn excess(open: &OpenRequest, subject: &Subject, policy: &ErasurePolicy) -> Option<Waiting> {
    let most = policy.max_linked_ids;
    if subject.linked.len() as u64 > most {
        return Some(Waiting::Links { most });
    }
    let rows = open.known_rows;
    let most = open.request.max_rows(policy);
    (rows > most).then_some(Waiting::Rows { rows, most })
}

/// Adds what a later pass found to what is known.
fn merge(known: &mut Vec<FileHits>, found: Vec<FileHits>) {
    for new in found {
        match known
            .iter_mut()
            .find(|hits| hits.file.path == new.file.path)
        {
            Some(hits) => {
                for (group, rows) in new.groups {
                    let all = hits.groups.entry(group).or_default();
                    all.extend(rows);
                    all.sort_unstable();
                    all.dedup();
                }
            }
            None => known.push(new),
        }
    }
}
