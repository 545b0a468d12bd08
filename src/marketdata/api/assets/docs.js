// The documentation page: Swagger UI over this installation's own OpenAPI document, with nothing from elsewhere.
"use strict";

const place = document.getElementById("swagger-ui");

SwaggerUIBundle({
  domNode: place,
  url: place.dataset.document,
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayOperationId: true,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
  persistAuthorization: false, // a secret stays in this page's memory alone
  // a wrong secret is told by the page: without this a browser asks for a name and a password of its own
  requestInterceptor: (request) => Object.assign(request, { credentials: "omit" }),
  showCommonExtensions: true,
  tryItOutEnabled: true,
  validatorUrl: null, // a validator would be a service elsewhere
});
