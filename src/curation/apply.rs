//! Carrying out a curation step: run the query over the touched days, check it, replace those partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef};
use chrono::NaiveDate;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{col, lit};
use datafusion::prelude::SessionContext;

use super::{
    CurationError, QUERY, Staleness, input_transaction, inputs, made_from, query_version, session,
    staleness,
};
use crate::lake::facts::Facts;
use crate::lake::parquet_files::{self, Layout};
use crate::lake::s3::PutIf;
use crate::lake::site::Site;
use crate::lake::tables::{Change, DataFile, PARTITION, Table};
use crate::plan::Curate;
use crate::policy::CuratedPolicy;

const RESULT: &str = "result";

/// What a curation step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Curated {
    /// Partitions made anew.
    pub days: u64,
    /// Rows in them.
    pub rows: u64,
}

/// Carries out `step`. `facts` are of now, after the earlier steps of this run.
pub async fn apply(
    site: &Site,
    policy: &CuratedPolicy,
    step: &Curate,
    facts: &Facts,
) -> Result<Curated, CurationError> {
    let inputs = inputs(policy)?;
    let days = match (
        staleness(policy, &inputs, facts, &step.held).await?,
        &step.days,
    ) {
        (Staleness::Waiting(_), _) => return Ok(Curated::default()),
        (Staleness::Fresh, _) => {
            note_inputs(site, policy, &inputs, facts).await?;
            return Ok(Curated::default());
        }
        (Staleness::Days(stale), Some(_)) => Some(stale),
        (Staleness::All(_), _) | (Staleness::Days(_), None) => None,
    };
    let rows = query(policy, &inputs, facts, days.as_ref()).await?;
    check(policy, &rows).await?;
    let keep_from = policy.retention.horizon(site.now).first_day();
    let mut parts = partitions(policy, &rows)?;
    // What is too old is left to retention: of a held person something may stay there.
    let is_made = |day: NaiveDate| day >= keep_from && !step.held.holds(day);
    parts.retain(|day, _| is_made(*day));
    let other_day = days
        .as_ref()
        .and_then(|days| parts.keys().find(|day| !days.contains(day)));
    if let Some(day) = other_day {
        return Err(CurationError::OtherDay {
            table: policy.table.clone(),
            day: *day,
        });
    }

    let folder = site.places.curated(&policy.table);
    let mut table = match Table::open(Arc::clone(&site.store), &folder).await? {
        Some(table) => table,
        None => Table::create(Arc::clone(&site.store), &folder, &rows.schema()).await?,
    };
    let evolved = table.schema()?.fields() != rows.schema().fields();
    let mut change = Change {
        schema: evolved.then(|| rows.schema()),
        transactions: vec![(QUERY.to_owned(), query_version(policy, &step.held))],
        run: site.run.clone(),
        ..Change::default()
    };
    for (input, version) in versions(&inputs, facts) {
        change
            .transactions
            .push((input_transaction(&input), version));
    }
    change.remove = table.files()?;
    change.remove.retain(|file| {
        let is_stale = days
            .as_ref()
            .is_none_or(|days| days.contains(&file.event_date));
        is_stale && is_made(file.event_date)
    });
    for (day, part) in parts.iter().filter(|(_, part)| part.num_rows() > 0) {
        change.add.push(write(site, policy, *day, part).await?);
    }
    let done = Curated {
        days: days.map_or(parts.len(), |days| days.len()) as u64,
        rows: change.add.iter().map(|file| file.rows).sum(),
    };
    table.commit(change, site.now).await?;
    Ok(done)
}

/// The versions of the inputs.
fn versions(inputs: &BTreeSet<String>, facts: &Facts) -> BTreeMap<String, u64> {
    let version = |input: &String| Some((input.clone(), facts.table_version(input)?));
    inputs.iter().filter_map(version).collect()
}

/// What came since the table was made changes no row of it. That it was looked at is noted all the same:
/// then the inputs' logs need not be kept for it.
async fn note_inputs(
    site: &Site,
    policy: &CuratedPolicy,
    inputs: &BTreeSet<String>,
    facts: &Facts,
) -> Result<(), CurationError> {
    let versions = versions(inputs, facts);
    if made_from(policy, inputs, facts).await? == versions {
        return Ok(());
    }
    // The table that facts have cannot be written to.
    let folder = site.places.curated(&policy.table);
    let Some(mut table) = Table::open(Arc::clone(&site.store), &folder).await? else {
        return Ok(());
    };
    let versions = versions.iter();
    let change = Change {
        transactions: versions
            .map(|(input, version)| (input_transaction(input), *version))
            .collect(),
        run: site.run.clone(),
        ..Change::default()
    };
    table.commit(change, site.now).await?;
    Ok(())
}

/// Runs the query over `days` of its inputs, or all of them.
async fn query(
    policy: &CuratedPolicy,
    inputs: &BTreeSet<String>,
    facts: &Facts,
    days: Option<&BTreeSet<NaiveDate>>,
) -> Result<RecordBatch, CurationError> {
    let failed = |error: datafusion::error::DataFusionError| CurationError::Query {
        table: policy.table.clone(),
        reason: error.to_string(),
    };
    let context = session();
    for input in inputs {
        let Some(table) = facts.table(input).and_then(|facts| facts.table.as_ref()) else {
            continue;
        };
        let whole = format!("{input} (whole)");
        table.register(&context, &whole).await?;
        let mut frame = context
            .table(datafusion::common::TableReference::bare(whole.as_str()))
            .await
            .map_err(failed)?;
        if let Some(days) = days {
            let wanted = days.iter().map(|day| {
                lit(datafusion::scalar::ScalarValue::Date32(Some(
                    Date32Type::from_naive_date(*day),
                )))
            });
            frame = frame
                .filter(col(PARTITION).in_list(wanted.collect(), false))
                .map_err(failed)?;
        }
        context
            .register_table(
                datafusion::common::TableReference::bare(input.as_str()),
                frame.into_view(),
            )
            .map_err(failed)?;
    }
    let frame = context.sql(&policy.query).await.map_err(failed)?;
    let schema: SchemaRef = Arc::new(frame.schema().as_arrow().clone());
    let batches = frame
        .collect()
        .await
        .map_err(|_| CurationError::Data(policy.table.clone()))?;
    let rows = concat_batches(&schema, &batches).map_err(|error| failed(error.into()))?;
    plain(policy, &rows)
}

/// The result in the types that Delta knows, every column nullable.
fn plain(policy: &CuratedPolicy, rows: &RecordBatch) -> Result<RecordBatch, CurationError> {
    let failed = |reason: String| CurationError::Query {
        table: policy.table.clone(),
        reason,
    };
    if rows.column_by_name(PARTITION).is_none() {
        return Err(failed(format!("the query has no column {PARTITION}")));
    }
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let plain = match field.data_type() {
            _ if field.name() == PARTITION => DataType::Date32,
            DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
            DataType::UInt64 | DataType::UInt32 => DataType::Int64,
            DataType::Dictionary(_, value) => (**value).clone(),
            other => other.clone(),
        };
        columns.push(cast(column, &plain).map_err(|_| CurationError::Data(policy.table.clone()))?);
        fields.push(Field::new(field.name(), plain, true));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|error| failed(error.to_string()))
}

/// Holds the policy's checks against the result. As with SQL's CHECK, unknown is no violation.
async fn check(policy: &CuratedPolicy, rows: &RecordBatch) -> Result<(), CurationError> {
    let failed = |error: datafusion::error::DataFusionError| CurationError::Query {
        table: policy.table.clone(),
        reason: error.to_string(),
    };
    let context: SessionContext = session();
    let table = MemTable::try_new(rows.schema(), vec![vec![rows.clone()]]).map_err(failed)?;
    context
        .register_table(RESULT, Arc::new(table))
        .map_err(failed)?;
    for check in &policy.checks {
        let condition = condition(check);
        let broken = context
            .sql(&format!("SELECT 1 FROM {RESULT} WHERE NOT ({condition})"))
            .await
            .map_err(failed)?;
        let broken = broken
            .count()
            .await
            .map_err(|_| CurationError::Data(policy.table.clone()))? as u64;
        if broken > 0 {
            return Err(CurationError::Check {
                table: policy.table.clone(),
                check: check.clone(),
                rows: broken,
            });
        }
    }
    Ok(())
}

/// `not_null(column)` as SQL; anything else is SQL already.
fn condition(check: &str) -> String {
    let column = check
        .trim()
        .strip_prefix("not_null(")
        .and_then(|rest| rest.strip_suffix(')'));
    match column {
        Some(column) => format!("{column} IS NOT NULL"),
        None => check.to_owned(),
    }
}

/// The rows of each day.
fn partitions(
    policy: &CuratedPolicy,
    rows: &RecordBatch,
) -> Result<BTreeMap<NaiveDate, RecordBatch>, CurationError> {
    let failed = |reason: String| CurationError::Query {
        table: policy.table.clone(),
        reason,
    };
    let dates = rows
        .column_by_name(PARTITION)
        .and_then(|column| column.as_primitive_opt::<Date32Type>());
    let dates = dates.ok_or_else(|| failed(format!("{PARTITION} is not a date")))?;
    if dates.iter().any(|date| date.is_none()) {
        return Err(failed(format!("{PARTITION} is null in some rows")));
    }
    let distinct: BTreeSet<i32> = dates.iter().flatten().collect();
    let mut parts = BTreeMap::new();
    for number in distinct {
        let mask: BooleanArray = dates
            .iter()
            .map(|date| Some(date == Some(number)))
            .collect();
        let part = filter_record_batch(rows, &mask).map_err(|error| failed(error.to_string()))?;
        let day = Date32Type::to_naive_date_opt(number)
            .ok_or_else(|| failed(format!("{PARTITION} is out of range")))?;
        parts.insert(day, part);
    }
    Ok(parts)
}

async fn write(
    site: &Site,
    policy: &CuratedPolicy,
    day: NaiveDate,
    rows: &RecordBatch,
) -> Result<DataFile, CurationError> {
    let failed = |reason: String| CurationError::Parquet {
        table: policy.table.clone(),
        reason,
    };
    let index = rows
        .schema()
        .index_of(PARTITION)
        .map_err(|error| failed(error.to_string()))?;
    let mut without_partition = rows.clone();
    without_partition.remove_column(index);
    let layout = Layout {
        sort_by: &[],
        identifiers: &[],
    };
    let bytes = parquet_files::encode(&without_partition, layout)
        .map_err(|error| failed(error.to_string()))?;
    let folder = site.places.curated(&policy.table);
    let file = DataFile {
        path: format!(
            "{PARTITION}={day}/part-{}.zstd.parquet",
            uuid::Uuid::new_v4()
        ),
        event_date: day,
        size: bytes.len() as u64,
        rows: rows.num_rows() as u64,
    };
    site.s3
        .put(
            &folder.bucket,
            &folder.join(&file.path).prefix,
            bytes,
            PutIf::Absent,
        )
        .await?;
    Ok(file)
}
