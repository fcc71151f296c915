// Requests to the API. A 304 response is not parsed.

/**
 * Error of a failed request. `kind`: unreachable (no valid response), refused (login needed), unavailable (the store does not answer),
 * absent (not in the history), wrong (bad parameters), or aborted (a newer request replaces it).
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
   * Return `{body, etag, now}`. The body is null if it has not changed since `etag`. `now` is the store's clock, or null.
   * Throws Failure.
   */
  async get(path, parameters = {}, options = {}) {
    if (path === "snapshot/") return this.send(path, parameters, options);
    // The server grants few history requests at a time, so this page sends one after the other, and retries when it is refused.
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
      if (response.status !== 304) body = await response.json();
    } catch (error) {
      if (signal?.aborted) throw new Failure("aborted");
      if (response && response.status !== 200) throw failureOf(response, null);
      throw new Failure("unreachable", String(error));
    }
    if (response.status !== 304 && !response.ok) throw failureOf(response, body);
    const now = Number.parseFloat(response.headers.get("X-Monitor-Now"));
    return { body, etag: response.headers.get("ETag"), now: Number.isFinite(now) ? now : null };
  }
}

function failureOf(response, body) {
  const kind = KINDS[response.status] ?? (response.status === 503 ? "unavailable" : "unreachable");
  const problems = body?.problems?.map((problem) => problem.hint).join("; ");
  return new Failure(kind, problems || body?.hint || body?.error || `HTTP ${response.status}`, response.status);
}

/** Request that is repeated. A newer one replaces the pending one. Keeps the last response, to revalidate it by its ETag. */
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

  /** Return the body, or null if it has not changed. Throws Failure; of kind "aborted" if a newer request replaced it. */
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
