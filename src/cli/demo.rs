//! `demo`: a lake in a fresh folder, and one night on it.

use std::fmt;
use std::path::{Path, PathBuf};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, NaiveDate, Utc};
use futures::{StreamExt, TryStreamExt};

use super::open::{DEMO_KEY, DEMO_POLICIES, DEMO_STORE, Opened, clock};
use super::run::{Source, conclude, night};
use super::{Exit, Failure, Global};
use crate::audit::report::RunReport;
use crate::curation;
use crate::demo::{BUCKETS, RawObject, SUBJECT_ERASED, generate};
use crate::erasure::request::{Filing, Request, Written};
use crate::lake::error::S3Error;
use crate::lake::facts::{Facts, Places};
use crate::lake::key::Key;
use crate::lake::s3::{PutIf, WriteS3};
use crate::plan::megabytes;
use crate::policy::Policies;
use crate::retention::lifecycle;

const PUT_AT_ONCE: usize = 16;
const FUNNEL: &str = "booking_funnel_daily";
const LAKE_BUCKET: &str = "acme-lake";

/// The policies of the repository, which the demo copies. Only `lake.yaml` is its own: no grace, own key.
const POLICIES: [(&str, &str); 6] = [
    (
        "datasets/product.yaml",
        include_str!("../../policies/datasets/product.yaml"),
    ),
    (
        "datasets/cart.yaml",
        include_str!("../../policies/datasets/cart.yaml"),
    ),
    (
        "datasets/payment.yaml",
        include_str!("../../policies/datasets/payment.yaml"),
    ),
    (
        "datasets/post_purchase.yaml",
        include_str!("../../policies/datasets/post_purchase.yaml"),
    ),
    (
        "curated/booking_funnel_daily.yaml",
        include_str!("../../policies/curated/booking_funnel_daily.yaml"),
    ),
    (
        "curated/booking_funnel_daily.sql",
        include_str!("../../policies/curated/booking_funnel_daily.sql"),
    ),
];

/// Arguments of `demo`; the folder is --dir.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// Equal seeds (and equal --now) make equal events.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many events.
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    events: usize,
    /// Make the lake and the erasure request, but leave the night to `run --dir DIR`.
    #[arg(long)]
    prepare_only: bool,
}

/// Makes the lake and runs the night.
pub async fn main(global: &Global, command: &Demo) -> Result<(), Failure> {
    let Some(dir) = &global.dir else {
        return Err(Failure::usage("demo needs --dir DIR, a fresh folder", ""));
    };
    let clock = clock(global);
    let dir = fresh(dir)?;
    write_policies(&dir)?;
    let lake = Opened::open_demo(global, &dir, clock).await?;
    let s3 = WriteS3::new(lake.connection.clone());
    let generated = generate(command.seed, command.events, clock.now());
    let before = Size {
        objects: generated.objects.len() as u64,
        bytes: generated
            .objects
            .iter()
            .map(|object| object.body.len() as u64)
            .sum(),
    };
    fill(&s3, generated.objects)
        .await
        .map_err(Failure::from_error)?;
    spread_net(&s3, &lake.policies).await;
    request_erasure(&lake, &s3).await?;
    if command.prepare_only {
        super::say(&format!(
            "{} raw objects ({}) lie ready; run the night with `lakewarden run --dir {}`",
            before.objects,
            megabytes(before.bytes),
            dir.display()
        ));
        return Ok(());
    }
    let report = night(&lake, Source::Fresh, None).await?;
    let shown = Shown {
        endpoint: global.endpoint.clone(),
        before,
        after: after(&lake).await?,
        funnel: funnel(&lake).await?,
        report,
        dir,
    };
    super::print(global, &shown)?;
    conclude(&shown.report)
}

/// The folder, made; it must hold nothing yet.
fn fresh(dir: &Path) -> Result<PathBuf, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(
            Exit::Failed,
            format!("could not make folder {}: {error}", dir.display()),
            "",
        )
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    if std::fs::read_dir(dir).map_err(failed)?.next().is_some() {
        return Err(Failure::usage(
            format!("{} is not empty", dir.display()),
            "the demo makes a lake of its own: name a fresh folder",
        ));
    }
    dir.canonicalize().map_err(failed)
}

fn write_policies(dir: &Path) -> Result<(), Failure> {
    let write = |path: PathBuf, text: &str| {
        let parent = path.parent().unwrap_or(dir);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|error| {
                Failure::new(
                    Exit::Failed,
                    format!("could not write {}: {error}", path.display()),
                    "",
                )
            })
    };
    let key = dir.join(DEMO_KEY);
    write(key.clone(), &Key::generate().map_err(Failure::from_error)?)?;
    let lake = format!(
        "# The demo's lake: nobody else reads it, so replaced files are purged at once.\n\
         version: 1\n\
         lake: s3://{LAKE_BUCKET}/\n\
         readers_grace: 0 h\n\
         uncommitted_grace: 0 h\n\
         key:\n  file: {}\n",
        serde_json::Value::from(key.display().to_string()),
    );
    write(dir.join(DEMO_POLICIES).join("lake.yaml"), &lake)?;
    for (path, text) in POLICIES {
        write(dir.join(DEMO_POLICIES).join(path), text)?;
    }
    Ok(())
}

/// Makes the buckets, with versions, and puts the raw objects.
async fn fill(s3: &WriteS3, objects: Vec<RawObject>) -> Result<(), S3Error> {
    let raw = BUCKETS.iter().map(|(_, bucket)| *bucket);
    for bucket in raw.chain([LAKE_BUCKET]) {
        s3.create_bucket(bucket).await?;
        s3.enable_versioning(bucket).await?;
    }
    futures::stream::iter(objects)
        .map(Ok)
        .try_for_each_concurrent(PUT_AT_ONCE, |object| async move {
            s3.put(&object.bucket, &object.key, object.body, PutIf::Always)
                .await?;
            Ok(())
        })
        .await
}

/// Gives the buckets the lifecycle rules that `lifecycle` prints. A store that has none does without.
async fn spread_net(s3: &WriteS3, policies: &Policies) {
    for (bucket, configuration) in lifecycle::net(policies) {
        if let Err(error) = s3.put_lifecycle(&bucket, &configuration.rules).await {
            super::say(&format!("warning: {error}"));
        }
    }
}

async fn request_erasure(lake: &Opened, s3: &WriteS3) -> Result<(), Failure> {
    let subject = Written(vec![("user_id".into(), SUBJECT_ERASED.into())]);
    let key = lake.key().map_err(Failure::from_error)?;
    let (policy, now) = (&lake.policies.lake.erasure, lake.clock.now());
    let request = Request::new(&key, policy, now, &subject, Filing::default());
    let request = request.map_err(Failure::from_error)?;
    let places = Places::new(&lake.policies.lake.location);
    request
        .file(s3, &places)
        .await
        .map_err(Failure::from_error)?;
    Ok(())
}

/// Objects and bytes.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
struct Size {
    objects: u64,
    bytes: u64,
}

/// What the event tables take.
async fn after(lake: &Opened) -> Result<Size, Failure> {
    let facts = Facts::tables(&lake.reader(), &lake.policies)
        .await
        .map_err(Failure::from_error)?;
    let mut size = Size::default();
    for file in facts
        .datasets
        .values()
        .flat_map(|dataset| &dataset.events.files)
    {
        size.objects += 1;
        size.bytes += file.size;
    }
    Ok(size)
}

/// The funnel of the last whole day.
async fn funnel(lake: &Opened) -> Result<Vec<FunnelLine>, Failure> {
    let facts = Facts::tables(&lake.reader(), &lake.policies)
        .await
        .map_err(Failure::from_error)?;
    let Some(table) = facts
        .curated
        .get(FUNNEL)
        .and_then(|facts| facts.table.as_ref())
    else {
        return Ok(Vec::new());
    };
    let day = last_whole_day(lake.clock.now());
    let context = curation::session();
    table
        .register(&context, FUNNEL)
        .await
        .map_err(Failure::from_error)?;
    let batches = context
        .sql(&format!(
            "SELECT stage, device_type, users, sessions, drop_off FROM {FUNNEL} \
             WHERE event_date = '{day}' ORDER BY stage_position, device_type"
        ))
        .await
        .map_err(Failure::from_error)?
        .collect()
        .await
        .map_err(Failure::from_error)?;
    let options = FormatOptions::default().with_null("");
    let mut lines = Vec::new();
    for batch in &batches {
        let columns: Result<Vec<_>, _> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect();
        let columns = columns.map_err(Failure::from_error)?;
        for row in 0..batch.num_rows() {
            let cells = columns
                .iter()
                .map(|column| column.value(row).to_string())
                .collect();
            lines.push(FunnelLine { day, cells });
        }
    }
    Ok(lines)
}

fn last_whole_day(now: DateTime<Utc>) -> NaiveDate {
    now.date_naive().pred_opt().unwrap_or(now.date_naive())
}

#[derive(Debug, serde::Serialize)]
struct FunnelLine {
    day: NaiveDate,
    cells: Vec<String>,
}

/// What the demo shows.
#[derive(Debug, serde::Serialize)]
struct Shown {
    dir: PathBuf,
    endpoint: Option<String>,
    before: Size,
    after: Size,
    funnel: Vec<FunnelLine>,
    #[serde(flatten)]
    report: RunReport,
}

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "before: {} raw objects, {}; after: {} Parquet files, {}\n",
            self.before.objects,
            megabytes(self.before.bytes),
            self.after.objects,
            megabytes(self.after.bytes)
        )?;
        write!(formatter, "{}", self.report)?;
        if let Some(first) = self.funnel.first() {
            writeln!(formatter, "\n{FUNNEL}, {}:", first.day)?;
            writeln!(
                formatter,
                "  {:<14} {:<10} {:>7} {:>9} {:>9}",
                "stage", "device", "users", "sessions", "drop-off"
            )?;
        }
        for line in &self.funnel {
            let cell = |index: usize| line.cells.get(index).map_or("", String::as_str);
            let drop_off = cell(4)
                .parse::<f64>()
                .map_or(String::new(), |share| format!("{:.1} %", share * 100.0));
            writeln!(
                formatter,
                "  {:<14} {:<10} {:>7} {:>9} {:>9}",
                cell(0),
                cell(1),
                cell(2),
                cell(3),
                drop_off
            )?;
        }
        self.fmt_places(formatter)
    }
}

impl Shown {
    fn fmt_places(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dir = self.dir.display();
        if let Some(endpoint) = &self.endpoint {
            return writeln!(
                formatter,
                "\nThe lake is at {endpoint}, bucket {LAKE_BUCKET}; its policies and key in {dir}.\n\
                 Next: lakewarden plan --dir {dir} --endpoint {endpoint}"
            );
        }
        let lake = self.dir.join(DEMO_STORE).join(LAKE_BUCKET);
        let lake = lake.display();
        writeln!(
            formatter,
            "\nTables, quarantine and certificates are plain files in {lake}\n\
             Look at them with DuckDB:\n  \
             SELECT * FROM read_parquet('{lake}/curated/{FUNNEL}/*/*.parquet', hive_partitioning = true);\n  \
             SELECT * FROM delta_scan('file://{lake}/events/cart');\n\
             Next: lakewarden plan --dir {dir}"
        )
    }
}
