"""The table of what each field does here, by type or category and by field.

A row says who honours the field (`HONOURED`: whoever runs the object; `only(...)`: those named), or
that nobody does and why. A row of a type comes before one of its category, and that before one of
`*`. tests/unit/model/catalog names for each honoured row a test that fails without it.
"""

from __future__ import annotations

from collections.abc import Mapping

from taskrunner.model.catalog.effects import EVERY_WAY, Effect, Way, everywhere, nobody, only

HONOURED = everywhere()

_NO_ATTEMPTS = nobody("a data node has no attempts of its own", usual=True)
_DRIVERS = "databases are reached by this program's own drivers"
_ROLE = "only an ARN can be assumed (arn:aws:iam::ACCOUNT:role/NAME), else the program's own role"
_CALLER = nobody("the service acts with its own credentials", usual=True)
_ON_EC2 = only(Way.EC2, why="only an instance that is made for the resource has it")
_LAUNCHED = only(
    *(Way.LOCAL, Way.EC2, Way.EMR, Way.EMR_SERVERLESS, Way.SPARK),
    why="nobody launches or watches the agents of a worker group",
)
_QUEUE = only(
    *(Way.COMMAND, Way.EMR, Way.SPARK),
    why="there are no queues on a single host, nor in EMR Serverless",
)
_ON_EMR = only(Way.EMR, why="only a cluster that is made for the resource has it")
_PART_OF_EMR = only(Way.EMR, why="only a cluster that is made for its EmrCluster has it")
_PART = {
    "EmrConfiguration": ("classification", "configuration", "property"),
    "Property": ("key", "value"),
    "EbsConfiguration": ("ebsBlockDeviceConfig", "ebsOptimized"),
    "EbsBlockDeviceConfig": ("volumeSpecification", "volumesPerInstance"),
    "VolumeSpecification": ("iops", "sizeInGB", "volumeType"),
}

_LATENESS = {
    "lateAfterTimeout": HONOURED,
    "onFail": HONOURED,
    "onLateAction": HONOURED,
    "onSuccess": HONOURED,
}
_ATTEMPTS = {
    "attemptTimeout": HONOURED,
    "failureAndRerunMode": HONOURED,
    "maximumRetries": HONOURED,
    "reportProgressTimeout": HONOURED,
    "retryDelay": HONOURED,
}
_ITS_OWN_TABLE = {
    "connectionString": HONOURED,
    "createTableSql": HONOURED,
    "database": HONOURED,
    "insertQuery": HONOURED,
    "*password": HONOURED,
    "schemaName": HONOURED,
    "selectQuery": HONOURED,
    "table": HONOURED,
    "username": HONOURED,
}
_AROUND = {"postActivityTaskConfig": HONOURED, "preActivityTaskConfig": HONOURED}
_GROWS = only(Way.EMR, why="only a cluster that is made for the EmrCluster grows", granted="false")
_RESIZING = {"resizeClusterBeforeRunning": _GROWS, "resizeClusterMaxInstances": _GROWS}
_NO_CLUSTER = nobody("the items are copied without the cluster", granted="false")
_SEPARATORS = {"columnSeparator": HONOURED, "recordSeparator": HONOURED}
_DIALECT = dict.fromkeys(("charset", "dialect", "header", "quote"), HONOURED)
_CREDENTIALS = {
    "databaseName": HONOURED,
    "jdbcProperties": HONOURED,
    "*password": HONOURED,
    "username": HONOURED,
}
_NO_JAR = nobody(f"{_DRIVERS}, so no jar is needed")

_CATEGORIES: dict[str, Mapping[str, Effect]] = {
    "*": {
        "attemptStatus": nobody("the service sets it by how the attempt ends", usual=True),
        "parent": HONOURED,
    },
    "dataformat": {"column": HONOURED},
    "activity": {
        **_ATTEMPTS,
        **_LATENESS,
        "dependsOn": HONOURED,
        "input": HONOURED,
        "maxActiveInstances": HONOURED,
        "output": HONOURED,
        "pipelineLogUri": HONOURED,
        "precondition": HONOURED,
        "runsOn": HONOURED,
        "schedule": HONOURED,
        "scheduleType": HONOURED,
        "workerGroup": HONOURED,
    },
    "precondition": {
        **_ATTEMPTS,
        **_LATENESS,
        "preconditionTimeout": HONOURED,
    },
    "datanode": {
        **_LATENESS,
        "attemptTimeout": _NO_ATTEMPTS,
        "dependsOn": HONOURED,
        "failureAndRerunMode": HONOURED,
        "maxActiveInstances": nobody("a data node is there at once, never active", usual=True),
        "maximumRetries": _NO_ATTEMPTS,
        "pipelineLogUri": _NO_ATTEMPTS,
        "precondition": HONOURED,
        "reportProgressTimeout": _NO_ATTEMPTS,
        "retryDelay": _NO_ATTEMPTS,
        "runsOn": HONOURED,
        "schedule": HONOURED,
        "scheduleType": HONOURED,
        "workerGroup": HONOURED,
    },
    "resource": {
        **_LATENESS,
        "actionOnResourceFailure": _LAUNCHED,
        "actionOnTaskFailure": HONOURED,
        "attemptTimeout": nobody("initTimeout and terminateAfter bound a resource", usual=True),
        "failureAndRerunMode": nobody("who runs on a resource always ends with it", usual=True),
        "initTimeout": _LAUNCHED,
        "maxActiveInstances": HONOURED,
        "maximumRetries": _LAUNCHED,
        "pipelineLogUri": nobody("logs go where each activity's own says", usual=True),
        "reportProgressTimeout": nobody("it is for tasks, which a resource is not", usual=True),
        "retryDelay": _LAUNCHED,
        "role": _CALLER,
        "schedule": HONOURED,
        "scheduleType": nobody(
            "a resource is there when the first who needs it is ready, whatever it says",
            usual=True,
        ),
        "terminateAfter": HONOURED,
    },
}

_ACTIVITIES: dict[str, Mapping[str, Effect]] = {
    "CopyActivity": {
        **dict.fromkeys(("maxBytesPerSecond", "maxRowsPerSecond"), HONOURED),
        **dict.fromkeys(("maxRejectedPercent", "maxRejectedRows", "onBadRow"), HONOURED),
        "onLossyValue": HONOURED,
        "partitions": HONOURED,
        "rejectUri": HONOURED,
        "resume": HONOURED,
    },
    "EmrActivity": {
        **_RESIZING,
        "postStepCommand": HONOURED,
        "preStepCommand": HONOURED,
        "step": HONOURED,
    },
    "HadoopActivity": {
        **_AROUND,
        "argument": HONOURED,
        "hadoopQueue": _QUEUE,
        "jarUri": HONOURED,
        "mainClass": HONOURED,
    },
    "HiveActivity": {
        **_AROUND,
        **_RESIZING,
        "hadoopQueue": _QUEUE,
        "hiveScript": HONOURED,
        "scriptUri": HONOURED,
        "scriptVariable": HONOURED,
        "stage": HONOURED,
    },
    "HiveCopyActivity": {
        **_AROUND,
        "filterSql": HONOURED,
        "resizeClusterBeforeRunning": _NO_CLUSTER,
        "resizeClusterMaxInstances": _NO_CLUSTER,
    },
    "PigActivity": {
        **_AROUND,
        **_RESIZING,
        "generatedScriptsPath": HONOURED,
        "script": HONOURED,
        "scriptUri": HONOURED,
        "scriptVariable": HONOURED,
        "stage": HONOURED,
    },
    "RedshiftCopyActivity": {
        "commandOptions": HONOURED,
        "insertMode": HONOURED,
        "queue": HONOURED,
        "transformSql": HONOURED,
    },
    "ShellCommandActivity": {
        "command": HONOURED,
        "scriptArgument": HONOURED,
        "scriptUri": HONOURED,
        "stage": HONOURED,
        "stderr": HONOURED,
        "stdout": HONOURED,
    },
    "SqlActivity": {
        "database": HONOURED,
        "queue": HONOURED,
        "script": HONOURED,
        "scriptArgument": HONOURED,
        "scriptUri": HONOURED,
    },
}

_PRECONDITIONS: dict[str, Mapping[str, Effect]] = {
    "DynamoDBDataExists": {"role": everywhere(honoured="arn:.*", why=_ROLE), "tableName": HONOURED},
    "DynamoDBTableExists": {
        "role": everywhere(honoured="arn:.*", why=_ROLE),
        "tableName": HONOURED,
    },
    "S3KeyExists": {"role": everywhere(honoured="arn:.*", why=_ROLE), "s3Key": HONOURED},
    "S3PrefixNotEmpty": {"role": everywhere(honoured="arn:.*", why=_ROLE), "s3Prefix": HONOURED},
    "ShellCommandPrecondition": {
        "command": HONOURED,
        "scriptArgument": HONOURED,
        "scriptUri": HONOURED,
        "stderr": HONOURED,
        "stdout": HONOURED,
    },
}

_DATA: dict[str, Mapping[str, Effect]] = {
    "DynamoDBDataNode": {
        "dataFormat": HONOURED,
        "readThroughputPercent": HONOURED,
        "region": HONOURED,
        "tableName": HONOURED,
        "writeThroughputPercent": HONOURED,
    },
    "MySqlDataNode": _ITS_OWN_TABLE,
    "RedshiftDataNode": {
        "createTableSql": HONOURED,
        "database": HONOURED,
        "primaryKeys": HONOURED,
        "schemaName": HONOURED,
        "tableName": HONOURED,
    },
    "S3DataNode": {
        "compression": HONOURED,
        "dataFormat": HONOURED,
        "directoryPath": HONOURED,
        "filePath": HONOURED,
        "manifestFilePath": HONOURED,
        "s3EncryptionType": HONOURED,
    },
    "SqlDataNode": _ITS_OWN_TABLE,
    "CSV": {"escapeChar": HONOURED, **_DIALECT},
    "Custom": {**_SEPARATORS, **_DIALECT},
    "RegEx": {
        "inputRegEx": HONOURED,
        "outputFormat": HONOURED,
    },
    "TSV": {"escapeChar": HONOURED, **_SEPARATORS, **_DIALECT},
    "JdbcDatabase": {
        **_CREDENTIALS,
        "connectionString": HONOURED,
        "jdbcDriverClass": nobody(
            f"{_DRIVERS}; which one, the connection string says",
            granted=r"(com\.(mysql|amazon\.redshift|microsoft)|org\.(postgresql|mariadb|sqlite)"
            r"|oracle\.jdbc|net\.sourceforge\.jtds)\..*",
        ),
        "jdbcDriverJarUri": _NO_JAR,
    },
    "RdsDatabase": {
        **_CREDENTIALS,
        "jdbcDriverJarUri": _NO_JAR,
        "rdsInstanceId": HONOURED,
        "region": HONOURED,
    },
    "RedshiftDatabase": {
        **_CREDENTIALS,
        "clusterId": HONOURED,
        "connectionString": HONOURED,
        "region": HONOURED,
    },
}

#: An EmrCluster's own fields.
_CLUSTER: Mapping[str, Effect] = {
    "additionalMasterSecurityGroupIds": _ON_EMR,
    "additionalSlaveSecurityGroupIds": _ON_EMR,
    "amiVersion": _ON_EMR,
    "applications": _ON_EMR,
    "availabilityZone": _ON_EMR,
    "bootstrapAction": _ON_EMR,
    "configuration": _ON_EMR,
    "coreEbsConfiguration": _ON_EMR,
    "coreGroupConfiguration": _ON_EMR,
    "coreInstanceBidPrice": _ON_EMR,
    "coreInstanceCount": _ON_EMR,
    "coreInstanceType": _ON_EMR,
    "EbsBlockDeviceConfig": nobody("volumes are those of an EbsConfiguration of a group"),
    "emrLogUri": only(
        *(Way.EMR, Way.EMR_SERVERLESS),
        why="only a cluster that is made, or a job of EMR's, has logs of its own",
    ),
    "emrManagedMasterSecurityGroupId": _ON_EMR,
    "emrManagedSlaveSecurityGroupId": _ON_EMR,
    "enableDebugging": _ON_EMR,
    "hadoopSchedulerType": _ON_EMR,
    "hadoopVersion": _ON_EMR,
    "httpProxy": HONOURED,
    "installHive": _ON_EMR,
    "keyPair": _ON_EMR,
    "masterEbsConfiguration": _ON_EMR,
    "masterGroupConfiguration": _ON_EMR,
    "masterInstanceBidPrice": _ON_EMR,
    "masterInstanceType": _ON_EMR,
    "releaseLabel": _ON_EMR,
    "resourceRole": only(
        *(Way.EMR, Way.EMR_SERVERLESS),
        why="nothing is made or started in its name",
    ),
    "serviceAccessSecurityGroupId": _ON_EMR,
    "subnetId": _ON_EMR,
    "supportedProducts": _ON_EMR,
    "taskEbsConfiguration": _ON_EMR,
    "taskGroupConfiguration": _ON_EMR,
    "taskInstanceBidPrice": _ON_EMR,
    "taskInstanceCount": _ON_EMR,
    "taskInstanceType": _ON_EMR,
    "useOnDemandOnLastAttempt": _ON_EMR,
    "visibleToAllUsers": _ON_EMR,
    "VolumeSpecification": nobody("volumes are those of an EbsConfiguration of a group"),
    "pipelineLogUri": _ON_EMR,
    "region": HONOURED,
    "role": _ON_EMR,
}
_RESOURCES: dict[str, Mapping[str, Effect]] = {
    "Ec2Resource": {
        "associatePublicIpAddress": _ON_EC2,
        "availabilityZone": _ON_EC2,
        "httpProxy": HONOURED,
        "imageId": _ON_EC2,
        "instanceCount": _ON_EC2,
        "instanceType": _ON_EC2,
        "keyPair": _ON_EC2,
        "logUri": nobody("logs go where pipelineLogUri says"),
        "minInstanceCount": _ON_EC2,
        "region": _ON_EC2,
        "resourceRole": _ON_EC2,
        "runAsUser": only(Way.EC2, why="the agent's own setting run_as_user says as whom"),
        "securityGroupIds": _ON_EC2,
        "securityGroups": _ON_EC2,
        "spotBidPrice": _ON_EC2,
        "subnetId": _ON_EC2,
        "useOnDemandOnLastAttempt": _ON_EC2,
    },
    "EmrCluster": _CLUSTER,
    "HttpProxy": {
        "hostname": HONOURED,
        "*password": HONOURED,
        "port": HONOURED,
        "s3NoProxy": HONOURED,
        "username": HONOURED,
        "windowsDomain": nobody("proxies are authenticated to by name and password only"),
        "windowsWorkgroup": nobody("proxies are authenticated to by name and password only"),
    },
    **{name: dict.fromkeys(fields, _PART_OF_EMR) for name, fields in _PART.items()},
}

_OTHERS: dict[str, Mapping[str, Effect]] = {
    "Schedule": {
        "endDateTime": HONOURED,
        "maxActiveInstances": nobody("it counts on Default and on each object, not here"),
        "occurrences": HONOURED,
        "period": HONOURED,
        "startAt": HONOURED,
        "startDateTime": HONOURED,
    },
    "ShellScriptConfig": {"scriptArgument": HONOURED, "scriptUri": HONOURED},
    "SnsAlarm": {
        "message": HONOURED,
        "role": everywhere(honoured="arn:.*", why=_ROLE),
        "subject": HONOURED,
        "topicArn": HONOURED,
    },
}

ROWS: Mapping[str, Mapping[str, Effect]] = {
    **_CATEGORIES,
    **_ACTIVITIES,
    **_PRECONDITIONS,
    **_DATA,
    **_RESOURCES,
    **_OTHERS,
}

#: Who can carry out objects of a type, where not everybody can.
RUN_BY: Mapping[str, frozenset[Way]] = {
    # Pig is in none of the registries of packages.
    "PigActivity": frozenset({Way.COMMAND, Way.EMR}),
    "EmrCluster": EVERY_WAY - {Way.COMMAND, Way.EC2},
}
