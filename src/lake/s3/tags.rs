//! Tags of objects.

use super::ReadS3;
use crate::lake::error::S3Error;

impl ReadS3 {
    /// The tags of a version: names and values.
    pub async fn tags(
        &self,
        bucket: &str,
        key: &str,
        version: &str,
    ) -> Result<Vec<(String, String)>, S3Error> {
        let request = self.connection.client().get_object_tagging();
        let request = request.bucket(bucket).key(key).version_id(version);
        let answer = request.send().await.map_err(|error| {
            S3Error::from_sdk(format!("read the tags of s3://{bucket}/{key}"), &error)
        })?;
        let tags = answer.tag_set.into_iter();
        Ok(tags.map(|tag| (tag.key, tag.value)).collect())
    }
}

/// Tags as the query string that a write takes.
pub fn as_query(tags: &[(String, String)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(tags);
    query.finish()
}
