//! `hold`: reasons to keep what a rule would delete.

use std::fmt;

use chrono::NaiveDate;

use super::erase::{Filed, refuse_naming, written};
use super::open::Opened;
use super::{Failure, Global};
use crate::erasure;
use crate::lake::facts::Places;
use crate::lake::hold::{self, Days, HeldPeople, HeldPerson, HoldError};
use crate::lake::s3::WriteS3;

/// Arguments of `hold`.
#[derive(Debug, clap::Args)]
pub struct Hold {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Keep tables, or some days of them, or what is a person's, until the hold is lifted.
    Add(Add),
    /// All holds, those in force first.
    List,
    /// End a hold: the next run does what the rules say.
    Lift(Lift),
}

#[derive(Debug, clap::Args)]
struct Add {
    /// `KIND=VALUE` of the person whom it is on, as for `erase add`: several for one person, `-` reads such
    /// lines from standard input. Left out: whoever the events are about.
    #[arg(long, value_name = "KIND=VALUE", conflicts_with_all = ["table", "from", "until"])]
    identifier: Vec<String>,
    /// A dataset or curated table; may be given several times. Left out: all of them.
    #[arg(long, value_name = "NAME")]
    table: Vec<String>,
    /// The first day (UTC) of the events.
    #[arg(long, value_name = "DATE")]
    from: Option<NaiveDate>,
    /// The last day.
    #[arg(long, value_name = "DATE")]
    until: Option<NaiveDate>,
    /// Why: it is kept and shown, so nothing about a person in it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who answers for it.
    #[arg(long, value_name = "NAME")]
    owner: String,
    /// When somebody has to look whether it is still needed.
    #[arg(long, value_name = "DATE")]
    review: NaiveDate,
}

#[derive(Debug, clap::Args)]
struct Lift {
    /// The hold's id.
    id: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub async fn main(global: &Global, hold: &Hold) -> Result<(), Failure> {
    let lake = Opened::open(global).await?;
    let places = Places::new(&lake.policies.lake.location);
    match &hold.command {
        Command::Add(add) => place(global, &lake, &places, add).await,
        Command::List => {
            let all = hold::all(&lake.reader(), &places).await;
            let mut all = all.map_err(Failure::from_error)?;
            all.sort_by_key(|hold| hold.lifted.is_some());
            super::print(global, &Shown(all.iter().map(hold::Hold::shown).collect()))
        }
        Command::Lift(arguments) => lift(global, &lake, &places, arguments).await,
    }
}

async fn place(global: &Global, lake: &Opened, places: &Places, add: &Add) -> Result<(), Failure> {
    let curated = |name: &str| {
        lake.policies
            .curated
            .iter()
            .any(|policy| policy.table == name)
    };
    let is_known = |name: &String| lake.policies.dataset(name).is_some() || curated(name);
    if let Some(unknown) = add.table.iter().find(|name| !is_known(name)) {
        return Err(Failure::usage(
            format!("there is no dataset or curated table `{unknown}`"),
            "name one that the policies describe",
        ));
    }
    if let (Some(from), Some(until)) = (add.from, add.until)
        && from > until
    {
        return Err(Failure::usage(
            format!("no day lies between {from} and {until}"),
            "`--from` is the first day, `--until` the last",
        ));
    }
    let now = lake.clock.now();
    if add.review < now.date_naive() {
        return Err(Failure::usage(
            format!("the review on {} would be over already", add.review),
            "`--review` is the day on which somebody has to look whether the hold is still needed",
        ));
    }
    let random = uuid::Uuid::new_v4().simple().to_string();
    let id = format!("{}-{}", now.format("%Y%m%d"), &random[..8]);
    let mut hold = hold::Hold {
        version: 1,
        tables: add.table.iter().cloned().collect(),
        days: Days {
            from: add.from,
            until: add.until,
        },
        person: person(lake, &id, add).await?,
        id,
        reason: said("--reason", &add.reason)?,
        owner: said("--owner", &add.owner)?,
        review: add.review,
        placed_at: now,
        lifted: None,
    };
    count_rows(lake, &mut hold).await?;
    let s3 = WriteS3::new(lake.connection.clone());
    hold.place(&s3, places).await.map_err(Failure::from_error)?;
    super::print(global, &Shown(vec![hold.shown()]))
}

/// The person whom a hold with these identifiers is on.
async fn person(lake: &Opened, id: &str, add: &Add) -> Result<Option<HeldPerson>, Failure> {
    if add.identifier.is_empty() {
        return Ok(None);
    }
    let written = written(lake, &add.identifier)?;
    let key = lake.key().map_err(Failure::from_error)?;
    Filed::read(lake).await?.refuse_other_key(&key)?;
    let person = HeldPerson::seal(id, &key, &written).map_err(Failure::from_error)?;
    refuse_naming(
        Ok::<_, HoldError>(written),
        &format!("{}\n{}", add.reason, add.owner),
    )?;
    Ok(Some(person))
}

/// Whoever places a hold on a person sees whether the identifier leads to anything.
async fn count_rows(lake: &Opened, hold: &mut hold::Hold) -> Result<(), Failure> {
    let policy = &lake.policies.lake.erasure;
    let people = HeldPeople::of(std::slice::from_ref(hold), policy, &|| lake.key());
    let mut people = people.map_err(Failure::from_error)?;
    if let Some(person) = &mut hold.person {
        let rows = erasure::rows_of(&lake.reader(), &lake.policies, &mut people).await;
        person.rows = rows.map_err(Failure::from_error)?;
    }
    Ok(())
}

async fn lift(
    global: &Global,
    lake: &Opened,
    places: &Places,
    named: &Lift,
) -> Result<(), Failure> {
    let found = hold::find(&lake.reader(), places, &named.id).await;
    let found = found.map_err(Failure::from_error)?;
    let Some((hold, etag)) = found.filter(|(hold, _)| hold.lifted.is_none()) else {
        return Err(Failure::usage(
            format!("no hold `{}` is in force", named.id),
            "`hold list` names those that are",
        ));
    };
    let reason = said("--reason", &named.reason)?;
    if let Some(person) = &hold.person {
        let key = lake.key().map_err(HoldError::from);
        refuse_naming(key.and_then(|key| person.open(&hold.id, &key)), &reason)?;
    }
    let s3 = WriteS3::new(lake.connection.clone());
    let lifted = hold
        .lift(&s3, places, &etag, reason, lake.clock.now())
        .await;
    super::print(global, &Shown(vec![lifted.map_err(Failure::from_error)?]))
}

/// A text that says something.
fn said(argument: &str, text: &str) -> Result<String, Failure> {
    if text.trim().is_empty() {
        return Err(Failure::usage(
            format!("`{argument}` says nothing"),
            "write it for whoever has to decide later",
        ));
    }
    Ok(text.trim().to_owned())
}

/// Holds as they are shown.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
struct Shown(Vec<hold::Hold>);

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for hold in &self.0 {
            writeln!(formatter, "{hold}")?;
        }
        Ok(())
    }
}
