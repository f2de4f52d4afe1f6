// Makes each call of AWS Data Pipeline by AWS's SDK for JavaScript, against the service whose
// address is the first argument. Prints as JSON what it was answered, by the calls' names.

import * as sdk from "@aws-sdk/client-data-pipeline";

const client = new sdk.DataPipelineClient({
  endpoint: process.argv[2],
  region: "us-east-1",
  credentials: { accessKeyId: process.argv[3], secretAccessKey: process.argv[4] },
  maxAttempts: 1,
});
const seen = {};

async function call(name, input) {
  const { $metadata, ...output } = await client.send(new sdk[`${name}Command`](input));
  seen[name] = output;
  return output;
}

async function refused(label, name, input) {
  try {
    await client.send(new sdk[`${name}Command`](input));
    seen[label] = "was not refused";
  } catch (error) {
    // The SDK has a class for each error that the API declares.
    const known = error instanceof sdk.DataPipelineServiceException;
    seen[label] = { name: error.name, message: error.message, known, fault: error.$fault };
  }
}

const fields = (object) =>
  Object.entries(object).map(([key, stringValue]) => ({ key, stringValue }));
const pipelineObjects = [
  {
    id: "Default",
    name: "Default",
    fields: fields({ scheduleType: "ondemand", workerGroup: "js" }),
  },
  {
    id: "Say",
    name: "Say",
    fields: fields({ type: "ShellCommandActivity", command: "echo #{myWord}" }),
  },
];
const parameterObjects = [{ id: "myWord", attributes: fields({ type: "String" }) }];
const parameterValues = [{ id: "myWord", stringValue: "grüß" }];

const made = await call("CreatePipeline", {
  name: "from JavaScript",
  uniqueId: "1",
  tags: [{ key: "made", value: "by npm" }],
});
const pipelineId = made.pipelineId;
const definition = { pipelineId, pipelineObjects, parameterObjects, parameterValues };
await call("ValidatePipelineDefinition", definition);
await call("PutPipelineDefinition", definition);
await call("GetPipelineDefinition", { pipelineId });
await call("AddTags", { pipelineId, tags: [{ key: "second", value: "" }] });
await call("RemoveTags", { pipelineId, tagKeys: ["made"] });
await call("DescribePipelines", { pipelineIds: [pipelineId] });
await call("ListPipelines", {});
await call("EvaluateExpression", {
  pipelineId,
  objectId: "Say",
  expression: "#{command}",
});
await call("ActivatePipeline", { pipelineId, startTimestamp: new Date("2026-01-02T03:04:05Z") });
await call("ReportTaskRunnerHeartbeat", { taskrunnerId: "js-1", workerGroup: "js" });
const { taskObject } = await call("PollForTask", { workerGroup: "js", hostname: "node.example" });
const taskId = taskObject.taskId;
await call("ReportTaskProgress", { taskId, fields: fields({ step: "1" }) });
await call("SetTaskStatus", { taskId, taskStatus: "FAILED", errorId: "E1", errorMessage: "no" });
await call("QueryObjects", {
  pipelineId,
  sphere: "INSTANCE",
  query: { selectors: [{ fieldName: "@componentParent", operator: { type: "REF_EQ", values: ["Say"] } }] },
});
const [instance] = seen.QueryObjects.ids;
await call("DescribeObjects", { pipelineId, objectIds: [instance], evaluateExpressions: true });
await call("SetStatus", { pipelineId, objectIds: [instance], status: "PAUSE" });
await call("DeactivatePipeline", { pipelineId, cancelActive: true });
await refused("wrong", "CreatePipeline", { name: "", uniqueId: "2" });
await refused("no pipeline", "GetPipelineDefinition", { pipelineId: "df-NONE" });
await refused("no task", "ReportTaskProgress", { taskId: "none" });
await call("DeletePipeline", { pipelineId });
await refused("deleted", "DescribePipelines", { pipelineIds: [pipelineId] });

console.log(JSON.stringify(seen));
