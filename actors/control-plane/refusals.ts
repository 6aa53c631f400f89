/** The refusals of the control plane, in Lambda's own words where it has some. Source: Lambda API reference and recorded answers of Lambda */
import { type Refusal, refusal } from "../../subjects/errors.ts";

/** `arn` carries the qualifier that was asked for. */
export const functionNotFound = (arn: string): Refusal =>
  refusal("ResourceNotFoundException", `Function not found: ${arn}`);

export const functionExists = (fn: string): Refusal =>
  refusal("ResourceConflictException", `Function already exist: ${fn}`);

export const inState = (state: string): Refusal =>
  refusal(
    "ResourceConflictException",
    `The operation cannot be performed at this time. The function is currently in the following state: ${state}`,
  );

export const updateInProgress = (arn: string): Refusal =>
  refusal(
    "ResourceConflictException",
    `The operation cannot be performed at this time. An update is in progress for resource: ${arn}`,
  );

export const wrongRevision = (): Refusal =>
  refusal(
    "PreconditionFailedException",
    "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
  );

export const invalid = (message: string): Refusal => refusal("InvalidParameterValueException", message);
