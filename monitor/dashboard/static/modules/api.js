// Requests to the API.

/**
 * Error of a failed request. `kind` is one of:
 * - unreachable: the server did not answer, or its response is not valid
 * - refused: the request is not authorised
 * - foreign: the response is not from the API; another view of the project, or a proxy, has answered. The message describes it
 * - unavailable: the store does not answer
 * - absent: history does not contain the requested time or check
 * - wrong: the parameters are wrong
 * - aborted: a newer request has replaced this request
 */
export class Failure extends Error {
  constructor(kind, detail = "", status = 0) {
    super(detail || kind);
    this.kind = kind;
    this.status = status;
  }
}

const ATTEMPTS = 5;
const KINDS = { 401: "refused", 403: "refused", 404: "absent", 410: "absent", 400: "wrong", 422: "wrong" };

export class Api {
  /** `base` is the path of the API, with a slash at the end. */
  constructor(base) {
    this.base = base;
    this.last = Promise.resolve();
  }

  /** Return the address of a request, for links. */
  url(path, parameters = {}) {
    const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== undefined));
    return `${this.base}${path}${query.size ? `?${query}` : ""}`;
  }

  /**
   * Return `{body, etag, now}`. `body` is null if the response still has the ETag `options.etag`. `now` is the time of the
   * store's clock; null if the response does not have it. Throws Failure.
   */
  async get(path, parameters = {}, options = {}) {
    if (path === "snapshot/") return this.send(path, parameters, options);
    // The server reads history for few requests at a time. So the page sends them one after the other, and retries after `busy`.
    const previous = this.last;
    let done;
    this.last = new Promise((resolve) => (done = resolve));
    try {
      await previous;
      return await this.sendWithRetries(path, parameters, options);
    } finally {
      done();
    }
  }

  async sendWithRetries(path, parameters, options) {
    for (let attempt = 1; ; attempt += 1) {
      if (options.signal?.aborted) throw new Failure("aborted");
      try {
        return await this.send(path, parameters, options);
      } catch (failure) {
        if (failure.message !== "busy" || attempt === ATTEMPTS) throw failure;
        await new Promise((resolve) => setTimeout(resolve, 600 + 800 * Math.random()));
      }
    }
  }

  async send(path, parameters, { etag = null, timeout = 8000, signal = null }) {
    const limits = [AbortSignal.timeout(timeout), ...(signal ? [signal] : [])];
    const headers = { Accept: "application/json", ...(etag ? { "If-None-Match": etag } : {}) };
    let response, body = null;
    try {
      const url = this.url(path, parameters), early = globalThis.earlyResponses?.get(url);
      globalThis.earlyResponses?.delete(url);
      response = await (early ?? fetch(url, { headers, cache: "no-store", signal: AbortSignal.any(limits) }));
      if (isForeign(response)) throw new Failure("foreign", descriptionOf(response), response.status);
      if (response.status !== 304) body = await response.json();
    } catch (error) {
      if (signal?.aborted) throw new Failure("aborted");
      if (error instanceof Failure) throw error;
      if (response && response.status !== 200) throw failureOf(response, null);
      throw new Failure("unreachable", String(error));
    }
    if (response.status !== 304 && !response.ok) throw failureOf(response, body);
    const now = Number.parseFloat(response.headers.get("X-Monitor-Now"));
    return { body, etag: response.headers.get("ETag"), now: Number.isFinite(now) ? now : null };
  }
}

/** Return whether a response is not from the API, whose responses are JSON. Errors of proxies (5xx) and refusals have any type. */
function isForeign(response) {
  const isPage = response.ok || response.status === 404 || response.status === 405;
  return isPage && !(response.headers.get("Content-Type") ?? "").includes("json");
}

/** Return the status and the type of a response, and where it is from after a redirect, such as `200 text/html from /login/`. */
function descriptionOf(response) {
  const type = (response.headers.get("Content-Type") ?? "no content type").split(";")[0];
  return `${response.status} ${type}${response.redirected ? ` from ${new URL(response.url).pathname}` : ""}`;
}

function failureOf(response, body) {
  const kind = KINDS[response.status] ?? (response.status === 503 ? "unavailable" : "unreachable");
  const problems = body?.problems?.map((problem) => problem.hint).join("; ");
  return new Failure(kind, problems || body?.hint || body?.error || `HTTP ${response.status}`, response.status);
}

/** Request that is repeated. A new request aborts a pending request with other parameters. The last response is kept with its ETag. */
export class RepeatedRequest {
  constructor(api, path) {
    this.api = api;
    this.path = path;
    this.key = "";
    this.etag = null;
    this.body = null;
    this.abort = null;
    this.pending = null;
  }

  /** Return the body; null if it has not changed since the last response. Throws Failure. */
  async load(parameters = {}) {
    const key = JSON.stringify(parameters);
    if (this.pending?.key === key) return this.pending.body;
    this.abort?.abort();
    const abort = (this.abort = new AbortController());
    const pending = (this.pending = { key, body: this.send(parameters, key, abort) });
    try {
      return await pending.body;
    } finally {
      if (this.pending === pending) this.pending = null;
    }
  }

  async send(parameters, key, abort) {
    const etag = key === this.key ? this.etag : null;
    const response = await this.api.get(this.path, parameters, { etag, signal: abort.signal });
    if (abort.signal.aborted) throw new Failure("aborted");
    if (response.body === null) return null;
    [this.key, this.etag, this.body] = [key, response.etag, response.body];
    return response.body;
  }

  close() {
    this.abort?.abort();
    this.pending = null;
  }
}
