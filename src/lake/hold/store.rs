//! How holds lie in the lake: one object each under `system/holds/`, lifted ones too.

use chrono::{DateTime, Utc};

use super::{Hold, Lifted};
use crate::lake::error::{S3Error, S3ErrorKind};
use crate::lake::facts::Places;
use crate::lake::ledger::put_json;
use crate::lake::s3::{Pick, PutIf, ReadS3, WriteS3};
use crate::policy::S3Location;

impl Hold {
    /// Places the hold.
    pub async fn place(&self, s3: &WriteS3, places: &Places) -> Result<(), S3Error> {
        let place = place(places, &self.id);
        let put = put_json(s3, &place.bucket, &place.prefix, self, PutIf::Absent);
        put.await.map(drop)
    }

    /// Ends the hold whose entity tag is `etag`.
    pub async fn lift(
        mut self,
        s3: &WriteS3,
        places: &Places,
        etag: &str,
        reason: String,
        now: DateTime<Utc>,
    ) -> Result<Self, S3Error> {
        self.lifted = Some(Lifted { at: now, reason });
        if let Some(person) = &mut self.person {
            person.forget();
        }
        let place = place(places, &self.id);
        let put = put_json(
            s3,
            &place.bucket,
            &place.prefix,
            &self,
            PutIf::Matches(etag),
        );
        put.await?;
        // Older versions have sealed in them whom it was on.
        s3.delete_replaced(&place.bucket, &place.prefix).await?;
        Ok(self)
    }
}

/// Where a hold lies.
pub fn place(places: &Places, id: &str) -> S3Location {
    places.system(&format!("holds/{id}.json"))
}

/// The hold called `id`, with its entity tag.
pub async fn find(
    s3: &ReadS3,
    places: &Places,
    id: &str,
) -> Result<Option<(Hold, String)>, S3Error> {
    let place = place(places, id);
    let found = s3.find(&place.bucket, &place.prefix).await?;
    let read = found.map(|object| Ok((parse(&place, &object.bytes)?, object.etag)));
    read.transpose()
}

/// All holds, lifted ones too, in the order in which they were placed.
pub async fn all(s3: &ReadS3, places: &Places) -> Result<Vec<Hold>, S3Error> {
    let folder = places.system("holds/");
    let mut holds = Vec::new();
    for key in s3.keys(&folder.bucket, &folder.prefix).await? {
        let object = s3.get(&folder.bucket, &key, Pick::Current).await?;
        let place = S3Location {
            bucket: folder.bucket.clone(),
            prefix: key,
        };
        holds.push(parse(&place, &object.bytes)?);
    }
    holds.sort_by(|one, other| (one.placed_at, &one.id).cmp(&(other.placed_at, &other.id)));
    Ok(holds)
}

/// Those that hold.
pub async fn active(s3: &ReadS3, places: &Places) -> Result<Vec<Hold>, S3Error> {
    let mut holds = all(s3, places).await?;
    holds.retain(|hold| hold.lifted.is_none());
    Ok(holds)
}

/// A hold that cannot be read stops everything: nobody knows what it holds.
fn parse(place: &S3Location, bytes: &[u8]) -> Result<Hold, S3Error> {
    serde_json::from_slice(bytes).map_err(|error| {
        S3Error::new(
            format!("read the hold {place}"),
            error.to_string(),
            S3ErrorKind::Other,
        )
    })
}
