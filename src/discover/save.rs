//! Writes a recording as the files that a `files` source reads.
//!
//! What we do not use of EC2's answers is not in them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    disk::{unblocked, write_whole},
    error::DiscoverError,
    files::{ASSOCIATIONS_FILE, ENDPOINTS_FILE, INTERFACES_FILE, SERVICES_FILE, SUBNETS_FILE},
    recorded::{
        AssociationsFile, EndpointsFile, InterfacesFile, Recorded, ServicesFile, SubnetsFile,
    },
};

/// Readable by all: nothing in a recording opens anything.
const RECORDING_MODE: u32 = 0o644;

/// Writes `recorded` into `folder`, which is made if it is missing. Each file is written whole or
/// not at all.
pub async fn save(recorded: &Recorded, folder: &Path) -> Result<(), DiscoverError> {
    let made = folder.to_owned();
    unblocked(move || fs::create_dir_all(made)).await.map_err(|source| DiscoverError::File {
        doing: "create the folder",
        path: folder.to_owned(),
        source,
    })?;
    let endpoints = EndpointsFile { vpc_endpoints: recorded.endpoints.clone() };
    let services = ServicesFile {
        service_names: recorded
            .services
            .iter()
            .map(|service| service.service_name.clone())
            .collect(),
        service_details: recorded.services.clone(),
    };
    let interfaces = InterfacesFile { network_interfaces: recorded.interfaces.clone() };
    write(folder.join(ENDPOINTS_FILE), &endpoints).await?;
    write(folder.join(SERVICES_FILE), &services).await?;
    write(folder.join(INTERFACES_FILE), &interfaces).await?;
    // Last, and only where they were told: without them a folder is read as an older one is. Those of
    // a former time would be read beside the new lists.
    let file = folder.join(ASSOCIATIONS_FILE);
    match recorded.associations.clone() {
        Some(associations) => {
            let associations = AssociationsFile { vpc_endpoint_associations: associations };
            write(file, &associations).await?;
        }
        None => remove(file).await?,
    }
    let file = folder.join(SUBNETS_FILE);
    match recorded.subnets.clone() {
        Some(subnets) => write(file, &SubnetsFile { subnets }).await,
        None => remove(file).await,
    }
}

/// One that is not there is no error.
async fn remove(path: PathBuf) -> Result<(), DiscoverError> {
    let target = path.clone();
    let removed = unblocked(move || match fs::remove_file(target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    });
    removed.await.map_err(|source| DiscoverError::File { doing: "remove", path, source })
}

async fn write(path: PathBuf, value: &impl Serialize) -> Result<(), DiscoverError> {
    let json = serde_json::to_vec_pretty(value);
    let target = path.clone();
    unblocked(move || {
        let mut json = json?;
        json.push(b'\n');
        write_whole(&target, &json, RECORDING_MODE)
    })
    .await
    .map_err(|source| DiscoverError::File { doing: "write", path, source })
}

#[cfg(test)]
mod tests {
    use crate::base::Chain;

    use super::{
        super::{Recorded, demo, files},
        save,
    };

    #[tokio::test]
    async fn a_files_source_reads_back_what_was_saved() {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("new").join("folder");
        save(&demo(), &made).await.unwrap();
        assert_eq!(files::read_files(&made).await.unwrap(), demo());
        // Once more over what is there, and nothing is left beside.
        save(&demo(), &made).await.unwrap();
        assert_eq!(std::fs::read_dir(&made).unwrap().count(), 3);
    }

    #[tokio::test]
    async fn what_was_not_told_this_time_is_not_left_from_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let more = Recorded { associations: Some(vec![]), subnets: Some(vec![]), ..demo() };
        save(&more, folder.path()).await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5);
        save(&demo(), folder.path()).await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
        assert_eq!(files::read_files(folder.path()).await.unwrap(), demo());
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = save(&demo(), &file.join("below")).await.unwrap_err();
        let line = Chain(&error).to_string();
        assert!(line.starts_with("cannot create the folder /"), "{line}");
        assert!(line.contains("Not a directory"), "{line}");
    }
}
