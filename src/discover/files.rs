//! The `files` source: a folder with what the AWS CLI printed.
//!
//! Reads, never writes, and never takes a part for the whole: one bad file and nothing is used.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

use super::{
    disk::aside,
    error::DiscoverError,
    recorded::{
        AssociationsFile, EndpointsFile, InterfacesFile, Recorded, RecordedAssociation,
        ServicesFile,
    },
};

/// Bytes of one file. The services of a whole region are 0.2 MB and an interface is 2 kB, so this
/// has room for 30,000 interfaces; a bigger file is the wrong one.
pub const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What `aws ec2 describe-vpc-endpoints` prints.
pub(super) const ENDPOINTS_FILE: &str = "vpc-endpoints.json";
/// What `aws ec2 describe-vpc-endpoint-services` prints.
pub(super) const SERVICES_FILE: &str = "vpc-endpoint-services.json";
/// What `aws ec2 describe-network-interfaces` prints.
pub(super) const INTERFACES_FILE: &str = "network-interfaces.json";
/// What `aws ec2 describe-vpc-endpoint-associations` prints, where there are any.
pub(super) const ASSOCIATIONS_FILE: &str = "vpc-endpoint-associations.json";
/// What makes it.
const ASSOCIATIONS_COMMAND: &str = "aws ec2 describe-vpc-endpoint-associations --output json";
/// What `aws ec2 describe-subnets` prints, where zones are discovered.
pub(super) const SUBNETS_FILE: &str = "subnets.json";

/// Reads the recording in `folder`.
pub(super) async fn read_files(folder: &Path) -> Result<Recorded, DiscoverError> {
    let folder = folder.to_owned();
    aside(move || read(&folder)).await
}

fn read(folder: &Path) -> Result<Recorded, DiscoverError> {
    let endpoints: EndpointsFile =
        file(folder.join(ENDPOINTS_FILE), "aws ec2 describe-vpc-endpoints --output json")?;
    let services: ServicesFile =
        file(folder.join(SERVICES_FILE), "aws ec2 describe-vpc-endpoint-services --output json")?;
    let interfaces: InterfacesFile =
        file(folder.join(INTERFACES_FILE), "aws ec2 describe-network-interfaces --output json")?;
    Ok(Recorded {
        endpoints: endpoints.vpc_endpoints,
        services: services.service_details,
        interfaces: interfaces.network_interfaces,
        associations: associations(folder)?,
        subnets: None,
    })
}

/// That the folder has no associations.
pub(super) fn associations_missing(folder: &Path) -> DiscoverError {
    let path = folder.join(ASSOCIATIONS_FILE);
    DiscoverError::FileMissing { path, command: ASSOCIATIONS_COMMAND }
}

/// A folder of before there were any has none, and neither has one of a hub without VPC Lattice.
fn associations(folder: &Path) -> Result<Option<Vec<RecordedAssociation>>, DiscoverError> {
    match file::<AssociationsFile>(folder.join(ASSOCIATIONS_FILE), ASSOCIATIONS_COMMAND) {
        Ok(read) => Ok(Some(read.vpc_endpoint_associations)),
        Err(DiscoverError::FileMissing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn file<T: DeserializeOwned>(
    path: PathBuf,
    command: &'static str,
) -> Result<T, DiscoverError> {
    let bytes = match read_at_most(&path, FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(DiscoverError::FileMissing { path, command });
        }
        Err(source) => {
            return Err(DiscoverError::File { doing: "read", path, source });
        }
    };
    let Some(bytes) = bytes else {
        return Err(DiscoverError::FileTooBig { path, limit: FILE_BYTES_MAX });
    };
    serde_json::from_slice(&bytes).map_err(|source| DiscoverError::Json {
        path,
        line: source.line(),
        column: source.column(),
        source,
    })
}

/// The file's bytes; `None` when there are more than `limit`. Counts what is read, not what the
/// file system says: a pipe or a growing file has no length to trust.
fn read_at_most(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((u64::try_from(read).is_ok_and(|read| read <= limit)).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{ENDPOINTS_FILE, INTERFACES_FILE, SERVICES_FILE, read_at_most, read_files};
    use crate::base::Chain;

    /// The error of a folder where `name` holds `text` and the other two files are fine.
    async fn error_with(name: &str, text: Option<&str>) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (file, fine) in [
            (ENDPOINTS_FILE, r#"{"VpcEndpoints": []}"#),
            (SERVICES_FILE, r#"{"ServiceDetails": []}"#),
            (INTERFACES_FILE, r#"{"NetworkInterfaces": []}"#),
        ] {
            fs::write(folder.path().join(file), fine).unwrap();
        }
        match text {
            Some(text) => fs::write(folder.path().join(name), text).unwrap(),
            None => fs::remove_file(folder.path().join(name)).unwrap(),
        }
        let error = read_files(folder.path()).await.unwrap_err();
        Chain(&error).to_string().replace(folder.path().to_str().unwrap(), "DIR")
    }

    #[tokio::test]
    async fn a_missing_file_tells_the_command_that_makes_it() {
        insta::assert_snapshot!(
            error_with(INTERFACES_FILE, None).await,
            @"DIR/network-interfaces.json is missing: `aws ec2 describe-network-interfaces --output json > DIR/network-interfaces.json` makes it"
        );
    }

    #[tokio::test]
    async fn broken_json_is_told_by_file_line_and_column() {
        insta::assert_snapshot!(
            error_with(ENDPOINTS_FILE, Some("{\"VpcEndpoints\": [\n  {\"State\": 3}]}")).await,
            @"DIR/vpc-endpoints.json:2:13 is not what the AWS CLI prints: invalid type: integer `3`, expected a string at line 2 column 13"
        );
    }

    #[tokio::test]
    async fn a_file_of_another_command_is_not_an_empty_list() {
        insta::assert_snapshot!(
            error_with(SERVICES_FILE, Some(r#"{"VpcEndpoints": []}"#)).await,
            @"DIR/vpc-endpoint-services.json:1:20 is not what the AWS CLI prints: missing field `ServiceDetails` at line 1 column 20"
        );
    }

    #[test]
    fn a_file_over_the_limit_is_not_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_at_most(&path, 5).unwrap(), Some(b"12345".into()));
        assert_eq!(read_at_most(&path, 4).unwrap(), None);
    }
}
