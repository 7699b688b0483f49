// Shows the schema of the REST API. "Try it out" acts as the person who is logged in, with the CSRF token of the cookie.
"use strict";

const page = document.getElementById("swagger-ui").dataset;

const csrfToken = () => {
  const cookie = document.cookie.split("; ").find((each) => each.startsWith(`${page.csrfCookie}=`));
  return cookie ? cookie.slice(page.csrfCookie.length + 1) : "";
};

SwaggerUIBundle({
  url: page.schema,
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  validatorUrl: null,
  requestInterceptor: (request) => {
    if (request.method && request.method.toUpperCase() !== "GET") request.headers["X-CSRFToken"] = csrfToken();
    return request;
  },
});
